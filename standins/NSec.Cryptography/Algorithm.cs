namespace NSec.Cryptography;

/// <summary>A cryptographic algorithm. Compared by reference: a key belongs to the instance it was made with.</summary>
public abstract class Algorithm
{
    private protected Algorithm()
    {
    }
}
