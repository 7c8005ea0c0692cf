using System.Buffers.Binary;

namespace Swarm.Core.Identity;

/// <summary>Whether 32 bytes are a point of Ed25519's curve at all (RFC 8032 §5.1.3). Verification says only that a signature is wrong.</summary>
/// <remarks>
/// Everything here is public, so the time may depend on it. It is written out because it is asked of keys that strangers send: with
/// <c>BigInteger</c> it took some 200 µs, like this some 20.
/// </remarks>
internal static class CurvePoint
{
    private static readonly Element One = new(1, 0, 0, 0);
    private static readonly Element MinusOne = new(0xffffffffffffffec, ulong.MaxValue, ulong.MaxValue, long.MaxValue);

    // −121665/121666 modulo p.
    private static readonly Element D = new(0x75eb4dca135978a3, 0x00700a4d4141d8ab, 0x8cc740797779e898, 0x52036cee2b6ffe73);

    /// <summary>
    /// True when some x belongs to the y that the bytes give: x² = (y² − 1) / (d·y² + 1) has a root, which Euler's criterion tells. A y that is not
    /// canonical, or of a point of small order, is a point here; verification refuses it.
    /// </summary>
    public static bool IsOnCurve(ReadOnlySpan<byte> raw)
    {
        var y = new Element(
            BinaryPrimitives.ReadUInt64LittleEndian(raw), BinaryPrimitives.ReadUInt64LittleEndian(raw[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(raw[16..]), BinaryPrimitives.ReadUInt64LittleEndian(raw[24..]) & long.MaxValue);
        var square = y.Squared(1);
        var product = square.Plus(MinusOne).Times(D.Times(square).Plus(One)).Reduced();
        return product == default || product.ToHalfOfPMinusOne().Reduced() == One;
    }

    /// <summary>A number modulo p = 2²⁵⁵ − 19 in four little-endian words; below 2²⁵⁶, not always below p.</summary>
    private readonly record struct Element(ulong W0, ulong W1, ulong W2, ulong W3)
    {
        public Element Plus(Element other) => Carry((UInt128)W0 + other.W0, (UInt128)W1 + other.W1, (UInt128)W2 + other.W2, (UInt128)W3 + other.W3);

        public Element Times(Element b)
        {
            // Column by column; what lies above 2²⁵⁶ counts 38-fold below, because 2²⁵⁶ = 38 modulo p.
            Span<ulong> a = [W0, W1, W2, W3], product = stackalloc ulong[8];
            product.Clear();
            for (var i = 0; i < 4; i++)
            {
                ulong carry = 0;
                Row(a[i], b.W0, ref product[i], ref carry);
                Row(a[i], b.W1, ref product[i + 1], ref carry);
                Row(a[i], b.W2, ref product[i + 2], ref carry);
                Row(a[i], b.W3, ref product[i + 3], ref carry);
                product[i + 4] = carry;
            }

            return Carry(
                product[0] + ((UInt128)38 * product[4]), product[1] + ((UInt128)38 * product[5]),
                product[2] + ((UInt128)38 * product[6]), product[3] + ((UInt128)38 * product[7]));
        }

        public Element Squared(int times)
        {
            var value = this;
            for (; times > 0; times--)
            {
                value = value.Times(value);
            }

            return value;
        }

        /// <summary>To the power (p − 1)/2 = 2²⁵⁴ − 10: 1 for a square, −1 for what is none. Names say 2ⁿ − 1.</summary>
        public Element ToHalfOfPMinusOne()
        {
            var two = Squared(1);
            var six = two.Times(Squared(2));
            var n2 = two.Times(this);
            var n4 = n2.Squared(2).Times(n2);
            var n5 = n4.Squared(1).Times(this);
            var n10 = n5.Squared(5).Times(n5);
            var n20 = n10.Squared(10).Times(n10);
            var n40 = n20.Squared(20).Times(n20);
            var n50 = n40.Squared(10).Times(n10);
            var n100 = n50.Squared(50).Times(n50);
            var n200 = n100.Squared(100).Times(n100);
            var n250 = n200.Squared(50).Times(n50);
            return n250.Squared(4).Times(six);
        }

        /// <summary>The same number below p.</summary>
        public Element Reduced()
        {
            // Below 2²⁵⁶ = 2p + 38, so at most two p are too much.
            var value = this;
            for (var i = 0; i < 2; i++)
            {
                var isAbove = value.W3 > long.MaxValue
                    || (value.W3 == long.MaxValue && value.W2 == ulong.MaxValue && value.W1 == ulong.MaxValue && value.W0 >= 0xffffffffffffffed);
                if (isAbove)
                {
                    // Minus p is plus 19 minus 2²⁵⁵.
                    var low = (UInt128)value.W0 + 19;
                    var second = (UInt128)value.W1 + (ulong)(low >> 64);
                    var third = (UInt128)value.W2 + (ulong)(second >> 64);
                    value = new((ulong)low, (ulong)second, (ulong)third, value.W3 + (ulong)(third >> 64) - 0x8000_0000_0000_0000);
                }
            }

            return value;
        }

        private static Element Carry(UInt128 w0, UInt128 w1, UInt128 w2, UInt128 w3)
        {
            while (true)
            {
                w1 += (ulong)(w0 >> 64);
                w2 += (ulong)(w1 >> 64);
                w3 += (ulong)(w2 >> 64);
                var over = (ulong)(w3 >> 64);
                if (over == 0)
                {
                    return new((ulong)w0, (ulong)w1, (ulong)w2, (ulong)w3);
                }

                (w0, w1, w2, w3) = ((ulong)w0 + ((UInt128)38 * over), (ulong)w1, (ulong)w2, (ulong)w3);
            }
        }

        private static void Row(ulong a, ulong b, ref ulong place, ref ulong carry)
        {
            var high = Math.BigMul(a, b, out var low);
            var sum = (UInt128)low + place + carry;
            place = (ulong)sum;
            carry = high + (ulong)(sum >> 64);
        }
    }
}
