using Swarm.Core.Capabilities.Gateway;
using Swarm.ServiceDefaults;

namespace Swarm.Api.Protocols.A1;

/// <summary>A1's gateway (A1 §14) with the profile of A1 §20: the routes that its three SDKs call, and a few that it documents and lacks.</summary>
public static class A1Endpoints
{
    public static IServiceCollection AddA1(this IServiceCollection services) => services
        .AddSingleton<A1Gate>().AddSingleton<A1Authorizing>().AddSingleton<A1Certificates>().AddSingleton<A1SwarmRoutes>().AddSingleton<A1PassportRoutes>()
        .AddSingleton<A1Discovery>().AddSingleton<IHealthMembers>(s => s.GetRequiredService<A1Discovery>())
        .AddHostedService<A1Guard>();

    public static WebApplication MapA1(this WebApplication app)
    {
        if (!app.Services.GetRequiredService<CapabilityOptions>().Enabled)
        {
            return app;
        }

        var gate = app.Services.GetRequiredService<A1Gate>();
        var authorizing = app.Services.GetRequiredService<A1Authorizing>();
        Open("POST", "/v1/authorize", authorizing.AuthorizeAsync);
        Open("POST", "/v1/passport/authorize", authorizing.AuthorizeAsync);
        Open("POST", "/v1/authorize/batch", authorizing.AuthorizeBatchAsync);
        Open("POST", "/v1/token/verify", authorizing.VerifyTokenAsync);

        var certificates = app.Services.GetRequiredService<A1Certificates>();
        Admin("POST", "/v1/cert/issue", certificates.IssueAsync);
        Admin("POST", "/v1/cert/issue-batch", certificates.IssueBatchAsync);
        Admin("POST", "/v1/cert/revoke", certificates.RevokeAsync);
        Admin("POST", "/v1/cert/revoke-batch", certificates.RevokeBatchAsync);
        Open("GET", "/v1/cert/{fingerprint}", certificates.InspectAsync);

        var swarms = app.Services.GetRequiredService<A1SwarmRoutes>();
        Admin("POST", "/v1/swarm/create", swarms.CreateAsync);
        Admin("POST", "/v1/swarm/delete", swarms.DeleteAsync);
        Admin("POST", "/v1/swarm/member/add", swarms.AddMemberAsync);
        Admin("POST", "/v1/swarm/member/remove", swarms.RemoveMemberAsync);
        Admin("POST", "/v1/swarm/member/chain", swarms.ChainAsync);
        Admin("POST", "/v1/swarm/member/heartbeat", swarms.HeartbeatAsync);
        Open("GET", "/v1/swarm/{swarm_id}/members", swarms.ListAsync);

        var passports = app.Services.GetRequiredService<A1PassportRoutes>();
        Admin("POST", "/v1/passports/issue", passports.IssueAsync);
        Admin("GET", "/v1/passports/list", passports.ListAsync);
        Admin("GET", "/v1/passports/read", passports.ReadAsync);
        Admin("POST", "/v1/passports/renew", passports.RenewAsync);
        Admin("POST", "/v1/passports/revoke-by-namespace", passports.RevokeAsync);
        Admin("POST", "/v1/passports/restore", passports.RestoreAsync);
        Admin("POST", "/v1/passports/chain", passports.ChainAsync);

        Open("GET", "/.well-known/a1-configuration", app.Services.GetRequiredService<A1Discovery>().DescribeAsync);
        app.Map("/v1/{**rest}", gate.Open(_ => throw A1Gate.NotFound()));
        return app;

        void Open(string method, string path, RequestDelegate handle) => Map(method, path, gate.Open(handle));

        void Admin(string method, string path, RequestDelegate handle) => Map(method, path, gate.Admin(handle));

        void Map(string method, string path, RequestDelegate handle)
        {
            app.MapMethods(path, [method], handle);
            app.Map(path, gate.Open(http =>
            {
                http.Response.Headers.Allow = method;
                throw new A1Refusal(StatusCodes.Status405MethodNotAllowed, "method not allowed", "MethodNotAllowed");
            }));
        }
    }
}
