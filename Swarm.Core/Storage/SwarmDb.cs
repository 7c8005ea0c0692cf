using Microsoft.EntityFrameworkCore;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Swarms;

namespace Swarm.Core.Storage;

/// <summary>
/// EF Core's view of the schema: everything but the hot path, whose SQL lies in <c>Messaging/</c> and <c>Delivery/</c> (design §3).
/// The schema itself comes from <c>Migrations/*.sql</c>; EF never creates or changes it.
/// </summary>
public sealed class SwarmDb(DbContextOptions<SwarmDb> options) : DbContext(options)
{
    public DbSet<AgentRow> Agents => Set<AgentRow>();

    public DbSet<FormerKeyRow> FormerKeys => Set<FormerKeyRow>();

    public DbSet<TokenRow> Tokens => Set<TokenRow>();

    public DbSet<SwarmRow> Swarms => Set<SwarmRow>();

    public DbSet<MemberRow> Members => Set<MemberRow>();

    public DbSet<InviteRow> Invites => Set<InviteRow>();

    public DbSet<JoinRequestRow> JoinRequests => Set<JoinRequestRow>();

    public DbSet<MuteRow> Mutes => Set<MuteRow>();

    protected override void OnModelCreating(ModelBuilder modelBuilder)
    {
        modelBuilder.Entity<AgentRow>(e =>
        {
            e.ToTable("agents").HasKey(x => x.AgentNo);
            e.Property(x => x.AgentNo).UseIdentityAlwaysColumn();
            e.Property(x => x.Kind).HasConversion<short>();
        });
        modelBuilder.Entity<FormerKeyRow>(e => e.ToTable("former_keys").HasKey(x => new { x.AgentNo, x.PublicKey }));
        modelBuilder.Entity<TokenRow>(e =>
        {
            e.ToTable("tokens").HasKey(x => x.TokenId);
            e.Property(x => x.TokenId).UseIdentityAlwaysColumn();
            e.Property(x => x.Scope).HasConversion<short>();
        });
        modelBuilder.Entity<SwarmRow>(e =>
        {
            e.ToTable("swarms").HasKey(x => x.SwarmNo);
            e.Property(x => x.SwarmNo).UseIdentityAlwaysColumn();
            e.Property(x => x.Demands).HasConversion<short>();
        });
        modelBuilder.Entity<MemberRow>(e =>
        {
            e.ToTable("members").HasKey(x => x.MemberNo);
            e.Property(x => x.MemberNo).UseIdentityAlwaysColumn();
        });
        modelBuilder.Entity<InviteRow>(e => e.ToTable("invites").HasKey(x => x.TokenHash));
        modelBuilder.Entity<JoinRequestRow>(e => e.ToTable("join_requests").HasKey(x => new { x.SwarmNo, x.Name }));
        modelBuilder.Entity<MuteRow>(e =>
        {
            e.ToTable("mutes").HasKey(x => x.MuteNo);
            e.Property(x => x.MuteNo).UseIdentityAlwaysColumn();
        });

        foreach (var entity in modelBuilder.Model.GetEntityTypes())
        {
            foreach (var property in entity.GetProperties())
            {
                property.SetColumnName(SnakeCase(property.Name));
            }
        }
    }

    private static string SnakeCase(string name) =>
        string.Concat(name.Select((c, i) => char.IsUpper(c) ? (i == 0 ? "" : "_") + char.ToLowerInvariant(c) : c.ToString()));
}
