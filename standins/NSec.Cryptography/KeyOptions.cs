namespace NSec.Cryptography;

/// <summary>How a key is written as bytes. Negative values hold secrets.</summary>
public enum KeyBlobFormat : int
{
    /// <summary>The 32-byte Ed25519 seed.</summary>
    RawPrivateKey = -2,

    /// <summary>The 32-byte encoded point.</summary>
    RawPublicKey = 1,
}

/// <summary>Whether the secret part of a key may leave it.</summary>
[Flags]
public enum KeyExportPolicies : int
{
    /// <summary>Never.</summary>
    None = 0,

    /// <summary>Any number of times.</summary>
    AllowPlaintextExport = 1,

    /// <summary>Once.</summary>
    AllowPlaintextArchiving = 2,
}

/// <summary>Options of a new key.</summary>
public ref struct KeyCreationParameters
{
    /// <summary>Whether the key may be exported; <see cref="KeyExportPolicies.None"/> unless set.</summary>
#pragma warning disable CA1051 // a field in the package too
    public KeyExportPolicies ExportPolicy;
#pragma warning restore CA1051
}
