using System.Diagnostics.CodeAnalysis;
using System.Text.Json;

namespace Swarm.Core.References;

/// <summary>What a reference points to (ASP §3). The numbers are those of the database.</summary>
public enum ReferenceKind
{
    Repository = 1,
    Issue = 2,
    PullRequest = 3,
    Commit = 4,
    Url = 5,
}

/// <summary>What its message says of the thing (ASP §3). The numbers are those of the database.</summary>
public enum ReferenceAction
{
    Claimed = 1,
    Completed = 2,
    Blocked = 3,
    Unblocked = 4,
    Assigned = 5,
    Mention = 6,
    ReviewRequested = 7,
}

/// <summary>
/// One of a message's references of a known kind (ASP §3). References are not covered by the message's signature, and of other kinds are
/// carried unchanged and not looked into.
/// </summary>
/// <param name="Repo"><c>owner/name</c>; null with <see cref="ReferenceKind.Url"/> only.</param>
/// <param name="Number">Of an issue or pull request.</param>
public sealed record Reference(ReferenceKind Kind, string? Repo, long? Number, string? Sha, string? Url, ReferenceAction? Action)
{
    /// <summary>The most references of a message that is sent here, and the most of one that are indexed.</summary>
    public const int CountMax = 64;

    /// <summary>The longest <c>owner/name</c>, in characters.</summary>
    public const int RepoLengthMax = 200;

    /// <summary>The longest name of a commit, in characters.</summary>
    public const int ShaLengthMax = 64;

    /// <summary>The longest URL, in characters.</summary>
    public const int UrlLengthMax = 2048;

    /// <summary>The largest number of an issue or pull request.</summary>
    public const long NumberMax = int.MaxValue;

    private static readonly (string Word, ReferenceKind Kind)[] Kinds =
    [
        ("github_repo", ReferenceKind.Repository), ("github_issue", ReferenceKind.Issue), ("github_pr", ReferenceKind.PullRequest),
        ("github_commit", ReferenceKind.Commit), ("url", ReferenceKind.Url),
    ];

    private static readonly (string Word, ReferenceAction Action)[] Actions =
    [
        ("claimed", ReferenceAction.Claimed), ("completed", ReferenceAction.Completed), ("blocked", ReferenceAction.Blocked),
        ("unblocked", ReferenceAction.Unblocked), ("assigned", ReferenceAction.Assigned), ("mention", ReferenceAction.Mention),
        ("review_requested", ReferenceAction.ReviewRequested),
    ];

    public static string WordOf(ReferenceKind kind) => Kinds.First(k => k.Kind == kind).Word;

    public static string WordOf(ReferenceAction action) => Actions.First(a => a.Action == action).Word;

    /// <summary>As people write it: <c>owner/name#12</c>, <c>owner/name@sha</c>, <c>owner/name</c>, or the URL.</summary>
    public override string ToString() => Kind switch
    {
        ReferenceKind.Issue or ReferenceKind.PullRequest => $"{Repo}#{Number}",
        ReferenceKind.Commit => $"{Repo}@{Sha}",
        ReferenceKind.Repository => Repo!,
        _ => Url!,
    };

    /// <summary>Whether it is <c>owner/name</c>, each of letters, digits, <c>_</c>, <c>.</c> and <c>-</c>, and neither of dots alone.</summary>
    public static bool IsRepo([NotNullWhen(true)] string? text)
    {
        if (text is null || text.Length > RepoLengthMax || text.Split('/') is not [var owner, var name])
        {
            return false;
        }

        return IsPart(owner) && IsPart(name);

        static bool IsPart(string part) =>
            part.Length > 0 && part.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '.' or '-') && part.Any(c => c != '.');
    }

    /// <summary>The valid references of known kinds, each with its place in the list; at most <see cref="CountMax"/>.</summary>
    public static IReadOnlyList<(int Ordinal, Reference Reference)> ReadAll(JsonElement? references)
    {
        var read = new List<(int, Reference)>();
        if (references is { ValueKind: JsonValueKind.Array } list)
        {
            var ordinal = 0;
            foreach (var item in list.EnumerateArray().Take(CountMax))
            {
                if (Read(item, out var reference) is null && reference is not null)
                {
                    read.Add((ordinal, reference));
                }

                ordinal++;
            }
        }

        return read;
    }

    /// <summary>Refuses what is no list of references; those of unknown kinds may hold anything (ASP §3).</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>, saying which one is wrong and why.</exception>
    public static void Check(JsonElement? references)
    {
        if (references is not { ValueKind: JsonValueKind.Array } list)
        {
            return;
        }

        if (list.GetArrayLength() > CountMax)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"references holds at most {CountMax} references.");
        }

        var ordinal = 0;
        foreach (var item in list.EnumerateArray())
        {
            if (Read(item, out _) is { } fault)
            {
                throw new SwarmException(SwarmError.InvalidRequest, $"references[{ordinal}]: {fault}");
            }

            ordinal++;
        }
    }

    /// <returns>What is wrong; null when nothing is. Without fault and without reference, it is of an unknown kind.</returns>
    private static string? Read(JsonElement json, out Reference? reference)
    {
        reference = null;
        if (json.ValueKind != JsonValueKind.Object || !json.TryGetProperty("type"u8, out var type) || type.ValueKind != JsonValueKind.String)
        {
            return "a reference is an object with a type.";
        }

        var kind = Kinds.FirstOrDefault(k => type.ValueEquals(k.Word)).Kind;
        if (kind == 0)
        {
            return null;
        }

        if (!TryText(json, "repo"u8, out var repo) || (repo is not null && !IsRepo(repo)))
        {
            return "repo is owner/name.";
        }

        if (!TryText(json, "sha"u8, out var sha) || (sha is not null && !(sha.Length is > 0 and <= ShaLengthMax && sha.All(char.IsAsciiHexDigit))))
        {
            return $"sha is 1 to {ShaLengthMax} hexadecimal digits.";
        }

        if (!TryText(json, "url"u8, out var url) || (url is not null && !IsUrl(url)))
        {
            return "url is an http or https URL.";
        }

        long? number = null;
        if (json.TryGetProperty("number"u8, out var value) && value.ValueKind != JsonValueKind.Null)
        {
            if (value.ValueKind != JsonValueKind.Number || !value.TryGetInt64(out var n) || n is < 1 or > NumberMax)
            {
                return $"number is a whole number from 1 to {NumberMax}.";
            }

            number = n;
        }

        ReferenceAction? action = null;
        if (!TryText(json, "action"u8, out var word) || (word is not null && (action = Find(word)) is null))
        {
            return "action is claimed, completed, blocked, unblocked, assigned, mention or review_requested.";
        }

        var missing = kind switch
        {
            ReferenceKind.Url => url is null ? "url" : null,
            _ when repo is null => "repo",
            ReferenceKind.Issue or ReferenceKind.PullRequest => number is null ? "number" : null,
            ReferenceKind.Commit => sha is null ? "sha" : null,
            _ => null,
        };
        if (missing is not null)
        {
            return $"a reference of type {WordOf(kind)} has a {missing}.";
        }

        reference = new(kind, repo, number, sha, url, action);
        return null;

        static ReferenceAction? Find(string word) => Actions.Where(a => a.Word == word).Select(a => (ReferenceAction?)a.Action).FirstOrDefault();
    }

    /// <returns>False when it is there and is no text.</returns>
    private static bool TryText(JsonElement json, ReadOnlySpan<byte> name, out string? text)
    {
        text = null;
        if (!json.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return true;
        }

        if (value.ValueKind != JsonValueKind.String)
        {
            return false;
        }

        text = value.GetString();
        return true;
    }

    private static bool IsUrl(string text) =>
        text.Length <= UrlLengthMax && !text.Any(char.IsControl)
        && Uri.TryCreate(text, UriKind.Absolute, out var url) && (url.Scheme == "http" || url.Scheme == "https");
}
