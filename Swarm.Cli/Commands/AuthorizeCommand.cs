using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm authorize</c> (A1 §9, §14.3): may this agent do that, with this chain? A yes consumes the chain.</summary>
internal static class AuthorizeCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var chain = new Argument<string>("chain") { Description = "A file with the chain ('-': standard input).", HelpName = "CHAINFILE" };
        var intent = new Option<string>("--intent", "-i") { Required = true, Description = "What is wanted.", HelpName = "NAME" };
        var parameters = new Option<string[]>("--param") { Description = "A parameter of it (repeatable).", HelpName = "KEY=VALUE" };
        var requestId = new Option<string?>("--request-id") { Description = "The same request with the same id is answered again as before; else a chain counts once.", HelpName = "ID" };
        var token = new Option<string?>("--token") { Description = "Write the node's token over the answer to this file, for 'swarm a1 verify'.", HelpName = "FILE" };
        var command = new SwarmCommand(
            "authorize", "Ask whether --as (an agent, its public key or did:a1:…) may do something with a chain. Exit 0 only when it may; a yes uses the chain up.")
        {
            Examples =
            [
                "swarm authorize chain.json --intent trade.equity --as bob",
                "swarm authorize chain.json --intent trade.equity --param symbol=AAPL --as did:a1:5d2a… --request-id order-7 --json",
            ],
        };
        command.Add(chain);
        command.Add(intent);
        command.Add(parameters);
        command.Add(requestId);
        command.Add(token);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var document = DocumentFile.ReadObject(parsed.GetRequiredValue(chain), "chain", session.Terminal);
            var order = new AuthorizationOrder
            {
                Chain = document,
                IntentName = parsed.GetRequiredValue(intent),
                IntentParams = NameList.ParsePairs(parsed.GetValue(parameters), "--param"),
                ExecutorPkHex = "",
                RequestId = parsed.GetValue(requestId),
                ReturnToken = parsed.GetValue(token) is not null,
            };
            var client = await session.ForReaderAsync(cancellation);
            order = order with { ExecutorPkHex = await PublicKeyText.ResolveAsync(session.ActingText, client, cancellation) };

            // Looked at first: a yes uses the chain up, and then it looks used.
            var found = await client.InspectAsync(System.Text.Encoding.UTF8.GetBytes(JsonText.Line(document)), cancellation);
            var answer = await client.AuthorizeAsync(order, cancellation);
            if (answer.Token is { } given && parsed.GetValue(token) is { } path)
            {
                PrivateFiles.Write(path, JsonText.Pretty(given) + "\n");
            }

            Show(session, order, found, answer);
            return answer.Authorized ? ExitCode.Ok : ExitCode.Permission;
        });
        return command;
    }

    private static void Show(Session session, AuthorizationOrder order, Inspection found, Authorization answer)
    {
        if (!session.Json)
        {
            session.Terminal.WriteLine(ChainView.Describe(found));
            session.Terminal.WriteLine(answer.Refusal is { } no
                ? $"REFUSED: {PublicKeyText.DidPrefix}{order.ExecutorPkHex} may not do {order.IntentName}: {ChainView.Reason(no)}"
                : $"authorized: {PublicKeyText.DidPrefix}{order.ExecutorPkHex} may do {order.IntentName}, this once");
            return;
        }

        session.Terminal.WriteLine(JsonText.Pretty(new JsonObject
        {
            ["authorized"] = answer.Authorized,
            ["intent"] = order.IntentName,
            ["executor"] = PublicKeyText.DidPrefix + order.ExecutorPkHex,
            ["error"] = answer.Refusal?.Error,
            ["error_code"] = answer.Refusal?.ErrorCode,
            ["detail_code"] = answer.Refusal?.DetailCode,
            ["verified_at_unix"] = answer.VerifiedAtUnix,
            ["receipt"] = answer.Receipt?.DeepClone(),
            ["chain"] = CliJson.Node(found),
        }));
    }
}
