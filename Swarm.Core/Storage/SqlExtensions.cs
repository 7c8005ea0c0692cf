using Npgsql;

namespace Swarm.Core.Storage;

/// <summary>Statements with their values in one line.</summary>
internal static class SqlExtensions
{
    /// <summary>Adds a statement whose values are <c>$1</c>, <c>$2</c>, … in their order.</summary>
    public static void Add(this NpgsqlBatch batch, string sql, params ReadOnlySpan<object> values)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        batch.BatchCommands.Add(command);
    }
}
