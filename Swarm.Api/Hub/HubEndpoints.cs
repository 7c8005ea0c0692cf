namespace Swarm.Api.Hub;

/// <summary>The node's own API (design §6): the route table; handlers lie beside it by feature.</summary>
internal static class HubEndpoints
{
    public static IServiceCollection AddHub(this IServiceCollection services, IConfiguration configuration)
    {
        var options = new HubOptions();
        configuration.GetSection("Hub").Bind(options);
        return services.AddSingleton(options).AddSingleton<ClientAddress>().AddSingleton<HubGate>().AddSingleton<HubBackup>();
    }

    public static void MapHub(this WebApplication routes)
    {
        // What routing itself refuses (a path, a method, a content type) is a problem too.
        routes.UseWhen(http => http.Request.Path.StartsWithSegments("/hub"), hub => hub.UseStatusCodePages(HubErrors.WriteBareAsync));

        var gate = routes.Services.GetRequiredService<HubGate>();
        var hub = routes.MapGroup("/hub/v1").AddEndpointFilter(gate);

        hub.MapGet("/status", HubNode.Status).Produces<StatusBody>();
        hub.MapGet("/stats", HubNode.Stats).Produces<StatsBody>();
        hub.MapPost("/backup", HubBackup.Run).Produces<BackupBody>();

        hub.MapPost("/agents", HubAgents.Create).Takes<AgentRequest>().Produces<AgentBody>(201);
        hub.MapGet("/agents", HubAgents.List).Produces<AgentList>();
        hub.MapGet("/agents/{agent}", HubAgents.Get).Produces<AgentBody>();
        hub.MapDelete("/agents/{agent}", HubAgents.Revoke).Produces(204);
        hub.MapPost("/agents/{agent}/tokens", HubAgents.CreateToken).Takes<TokenRequest>().Produces<TokenBody>(201);
        hub.MapGet("/agents/{agent}/tokens", HubAgents.ListTokens).Produces<TokenList>();
        hub.MapDelete("/agents/{agent}/tokens/{id:long}", HubAgents.RevokeToken).Produces(204);
        hub.MapPost("/enrolments", HubAgents.CreateEnrolment).Takes<EnrolmentRequest>().Produces<EnrolmentBody>(201);
        hub.MapPost("/enrol", HubAgents.Enrol).WithMetadata(new OpenRoute()).Takes<EnrolRequest>().Produces<AgentBody>(201);

        hub.MapPost("/ping", HubPing.Ping).Takes<PingRequest>().Produces<PingBody>();

        hub.MapPost("/swarms", HubSwarms.Create).Takes<SwarmRequest>().Produces<SwarmBody>(201);
        hub.MapGet("/swarms", HubSwarms.List).Produces<SwarmList>();
        hub.MapGet("/swarms/{id}", HubSwarms.Get).Produces<SwarmBody>();
        hub.MapGet("/swarms/{id}/members", HubSwarms.Members).Produces<MemberList>();
        hub.MapPost("/swarms/{id}/invites", HubSwarms.Invite).Takes<InviteRequest>().Produces<InviteBody>(201);
        hub.MapDelete("/swarms/{id}/invites/{hash}", HubSwarms.RevokeInvite).Produces(204);
        hub.MapGet("/swarms/{id}/grants", HubGrants.List).Produces<GrantList>();
        hub.MapPut("/swarms/{id}/demands", HubGrants.Demand).Takes<DemandsRequest>().Produces<GrantList>();
        hub.MapPost("/swarms/{id}/grants", HubGrants.Grant).Takes<GrantRequest>().Produces<NewGrantBody>(201);
        hub.MapDelete("/swarms/{id}/grants/{name}", HubGrants.Revoke).Produces(204);
        hub.MapPost("/join", HubSwarms.Join).Takes<JoinRequest>().Produces<JoinBody>();
        hub.MapPost("/swarms/{id}/leave", HubSwarms.Leave).Takes<LeaveRequest>().Produces<LeaveBody>();
        hub.MapPost("/swarms/{id}/kick", HubSwarms.Kick).Takes<KickRequest>().Produces<KickBody>();
        hub.MapGet("/swarms/{id}/requests", HubLifecycle.Requests).Produces<PendingList>();
        hub.MapPost("/swarms/{id}/requests/{name}/approve", HubLifecycle.Approve).Takes<DecideRequest>().Produces<DecidedBody>();
        hub.MapPost("/swarms/{id}/requests/{name}/reject", HubLifecycle.Reject).Takes<DecideRequest>().Produces<DecidedBody>();
        hub.MapPost("/swarms/{id}/transfer", HubLifecycle.Transfer).Takes<TransferRequest>().Produces<TransferBody>();
        hub.MapPost("/swarms/{id}/agree", HubLifecycle.Agree).Takes<AgreeRequest>().Produces<AgreeBody>();
        hub.MapPost("/swarms/{id}/sync", HubLifecycle.Sync).Takes<DecideRequest>().Produces<JoinBody>();
        hub.MapPost("/swarms/{id}/dissolve", HubLifecycle.Dissolve).Takes<DissolveRequest>().Produces<DissolveBody>();
        hub.MapPost("/agents/{agent}/rotate-key", HubLifecycle.RotateKey).Produces<AgentKeyBody>();
        hub.MapPost("/agents/{agent}/endpoint", HubLifecycle.Move).Takes<EndpointRequest>().Produces<AgentKeyBody>();

        hub.MapPost("/messages", HubMessages.Send).Takes<SendRequest>().Produces<SendBody>();
        hub.MapPost("/messages/batch", HubMessages.SendBatch).Takes<BatchRequest>().Produces<BatchBody>();
        hub.MapGet("/agents/{agent}/outbox", HubMessages.Sent).Produces<SentList>();

        hub.MapGet("/agents/{agent}/mutes", HubMutes.List).Produces<MuteList>();
        hub.MapGet("/agents/{agent}/wake", HubWake.Get).Produces<WakeBody>();
        hub.MapPost("/agents/{agent}/wake", HubWake.Set).Takes<WakeRequest>().Produces<WakeBody>();
        hub.MapPost("/agents/{agent}/mute", HubMutes.Mute).Takes<MuteRequest>().Produces<MuteBody>();
        hub.MapPost("/agents/{agent}/unmute", HubMutes.Unmute).Takes<MuteRequest>().Produces<MuteBody>();
        hub.MapGet("/deliveries/{id}", HubDeliveries.Trace).Produces<TraceList>();
        hub.MapGet("/dead-letters", HubDeliveries.ListDead).Produces<DeadLetterList>();
        hub.MapGet("/dead-letters/{id}", HubDeliveries.GetDead).Produces<DeadLetterBody>();
        hub.MapPost("/dead-letters/requeue", HubDeliveries.Requeue).Takes<DeadLetterRequest>().Produces<DeadLetterChangeBody>();
        hub.MapPost("/dead-letters/discard", HubDeliveries.Discard).Takes<DeadLetterRequest>().Produces<DeadLetterChangeBody>();

        hub.MapGet("/agents/{agent}/inbox", HubInbox.List).Produces<MessageList>();
        hub.MapPost("/agents/{agent}/inbox/read", HubInbox.MarkRead).Takes<SeqsRequest>().Produces<UpdatedBody>();
        hub.MapGet("/agents/{agent}/references", HubReferences.Find).Produces<MessageList>();
        hub.MapGet("/agents/{agent}/board", HubReferences.Board).Produces<BoardBody>();
        hub.MapGet("/agents/{agent}/inbox/counts", HubInbox.Counts).Produces<CountsBody>();
        hub.MapGet("/agents/{agent}/mailbox/counts", HubMailbox.Counts).Produces<MailCountsBody>();
        hub.MapPost("/agents/{agent}/mailbox/archive-read", HubMailbox.ArchiveRead).Takes<ArchiveRequest>().Produces<ArchivedBody>();
        hub.MapPost("/agents/{agent}/mailbox/{id}/archive", HubMailbox.Archive).Produces<MailChangeBody>();
        hub.MapPost("/agents/{agent}/mailbox/{id}/delete", HubMailbox.Delete).Produces<MailChangeBody>();
        hub.MapPost("/agents/{agent}/purge", HubMailbox.Purge).Takes<PurgeRequest>().Produces<PurgedBody>();
        hub.MapGet("/agents/{agent}/outbox/counts", HubMailbox.SentCounts).Produces<SentCountsBody>();
        hub.MapGet("/agents/{agent}/export", HubState.Export).Produces(200, contentType: "application/json");
        hub.MapPost("/agents/{agent}/import", HubState.Import).Produces<ImportedBody>();
        hub.MapGet("/agents/{agent}/inbox/stream", HubStream.Follow).Produces(200, contentType: "text/event-stream");
        hub.MapPost("/agents/{agent}/inbox/lease", HubWorkQueue.Lease).Takes<LeaseRequest>().Produces<LeaseBody>();
        hub.MapPost("/agents/{agent}/inbox/ack", HubWorkQueue.Ack).Takes<SettleRequest>().Produces<UpdatedBody>();
        hub.MapPost("/agents/{agent}/inbox/nak", HubWorkQueue.Nak).Takes<SettleRequest>().Produces<UpdatedBody>();
        hub.MapPost("/capabilities/inspect", HubCapabilities.Inspect).Produces<InspectionBody>();
        hub.MapPost("/agents/{agent}/inbox/extend", HubWorkQueue.Extend).Takes<ExtendRequest>().Produces<ExtendBody>();
    }

    private static RouteHandlerBuilder Takes<T>(this RouteHandlerBuilder route)
        where T : class => route.Accepts<T>("application/json");
}
