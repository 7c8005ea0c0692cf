namespace Swarm.ServiceDefaults.Egress;

/// <summary>Lets so many calls at once to one destination. A destination that nobody calls takes no memory.</summary>
internal sealed class DestinationGates(int placesMax)
{
    private readonly Dictionary<string, Gate> _gates = [];

    public int Count
    {
        get
        {
            lock (_gates)
            {
                return _gates.Count;
            }
        }
    }

    /// <summary>Waits for a place; dispose what is returned to free it.</summary>
    public async Task<IDisposable> EnterAsync(string destination, CancellationToken cancellation)
    {
        Gate gate;
        lock (_gates)
        {
            if (!_gates.TryGetValue(destination, out gate!))
            {
                _gates.Add(destination, gate = new Gate(placesMax));
            }

            gate.Users++;
        }

        var place = new Place(this, destination, gate);
        try
        {
            await gate.Places.WaitAsync(cancellation);
            place.IsTaken = true;
            return place;
        }
        catch
        {
            place.Dispose();
            throw;
        }
    }

    private sealed class Gate(int places)
    {
        public SemaphoreSlim Places { get; } = new(places);

        /// <summary>Who waits or has a place. Guarded by the lock of the dictionary.</summary>
        public int Users { get; set; }
    }

    private sealed class Place(DestinationGates gates, string destination, Gate gate) : IDisposable
    {
        public bool IsTaken { get; set; }

        public void Dispose()
        {
            if (IsTaken)
            {
                gate.Places.Release();
            }

            lock (gates._gates)
            {
                if (--gate.Users == 0)
                {
                    gates._gates.Remove(destination);
                    gate.Places.Dispose();
                }
            }
        }
    }
}
