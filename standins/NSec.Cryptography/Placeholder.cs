namespace NSec.Cryptography;
public sealed class PublicKey { }
