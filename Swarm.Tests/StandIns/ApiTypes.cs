using System.Collections.ObjectModel;
using System.Reflection;

namespace Swarm.Tests.StandIns;

/// <summary>Names of types as the API lists write them.</summary>
internal static class ApiTypes
{
    private static readonly Dictionary<Type, string> Keywords = new()
    {
        [typeof(void)] = "void", [typeof(object)] = "object", [typeof(string)] = "string", [typeof(bool)] = "bool", [typeof(char)] = "char",
        [typeof(byte)] = "byte", [typeof(sbyte)] = "sbyte", [typeof(short)] = "short", [typeof(ushort)] = "ushort", [typeof(int)] = "int",
        [typeof(uint)] = "uint", [typeof(long)] = "long", [typeof(ulong)] = "ulong", [typeof(float)] = "float", [typeof(double)] = "double",
        [typeof(decimal)] = "decimal", [typeof(nint)] = "nint", [typeof(nuint)] = "nuint",
    };

    /// <summary>Namespace and all enclosing types, <c>`n</c> kept, joined by dots.</summary>
    public static string FullName(Type type) =>
        type.DeclaringType is { } outer ? $"{FullName(outer)}.{type.Name}" : type.Namespace is { } space ? $"{space}.{type.Name}" : type.Name;

    /// <summary>The last name alone, without arity.</summary>
    public static string SimpleName(Type type) => type.Name.Split('`')[0];

    /// <summary>The type as it is written in a signature.</summary>
    public static string Name(Type type, Annotations annotations)
    {
        if (type.IsByRef)
        {
            return Name(type.GetElementType()!, annotations);
        }

        if (type.IsGenericParameter)
        {
            return type.Name + annotations.Next();
        }

        if (type.IsArray)
        {
            string mark = annotations.Next();
            string brackets = $"[{new string(',', type.GetArrayRank() - 1)}]";
            return Name(type.GetElementType()!, annotations) + brackets + mark;
        }

        // A generic value type takes a place in the annotations too; a plain one does not.
        string nullable = type.IsValueType ? (type.IsGenericType && Nullable.GetUnderlyingType(type) is null ? annotations.Skip() : string.Empty) : annotations.Next();
        if (Keywords.TryGetValue(type, out string? keyword))
        {
            return keyword + nullable;
        }

        return Generic(type, annotations) + nullable;
    }

    private static string Generic(Type type, Annotations annotations)
    {
        Type[] arguments = type.GetGenericArguments();
        if (type.FullName?.StartsWith("System.ValueTuple`", StringComparison.Ordinal) == true && arguments.Length > 1)
        {
            string?[] names = annotations.TakeTupleNames(arguments.Length);
            return $"({string.Join(", ", arguments.Select((argument, i) => Name(argument, annotations) + (names[i] is { } name ? " " + name : "")))})";
        }

        int outerCount = type.DeclaringType?.GetGenericArguments().Length ?? 0;
        string outer = type.DeclaringType is null ? (type.Namespace is { } space ? space + "." : string.Empty) : Outer(type.DeclaringType, arguments[..outerCount], annotations) + ".";
        string own = string.Join(", ", arguments[outerCount..].Select(argument => Name(argument, annotations)));
        return outer + SimpleName(type) + (own.Length == 0 ? string.Empty : $"<{own}>");
    }

    private static string Outer(Type definition, Type[] arguments, Annotations annotations) =>
        Generic(arguments.Length == 0 ? definition : definition.MakeGenericType(arguments), annotations);
}

/// <summary>The compiler's nullable annotations (and tuple names) of one type use, read from front to back as the type is written.</summary>
internal sealed class Annotations
{
    private const byte Nullable = 2;

    private readonly byte[] _flags;
    private readonly Queue<string?> _tupleNames;
    private int _at;

    private Annotations(byte[] flags, IEnumerable<string?> tupleNames)
    {
        _flags = flags;
        _tupleNames = new Queue<string?>(tupleNames);
    }

    /// <summary>For type lines, where annotations are not written.</summary>
    public static Annotations None => new([0], []);

    public static Annotations Of(ParameterInfo parameter) => Of(parameter.GetCustomAttributesData(), parameter.Member);

    public static Annotations Of(MemberInfo member) => Of(member.GetCustomAttributesData(), member);

    public string Next()
    {
        byte flag = _flags.Length == 1 ? _flags[0] : _at < _flags.Length ? _flags[_at] : (byte)0;
        _at++;
        return flag == Nullable ? "?" : string.Empty;
    }

    public string Skip()
    {
        _at++;
        return string.Empty;
    }

    public string?[] TakeTupleNames(int count) =>
        [.. Enumerable.Range(0, count).Select(_ => _tupleNames.TryDequeue(out string? name) ? name : null)];

    private static Annotations Of(IList<CustomAttributeData> attributes, MemberInfo context)
    {
        CustomAttributeData? own = attributes.FirstOrDefault(a => a.AttributeType.FullName == "System.Runtime.CompilerServices.NullableAttribute");
        CustomAttributeData? names = attributes.FirstOrDefault(a => a.AttributeType.FullName == "System.Runtime.CompilerServices.TupleElementNamesAttribute");
        byte[] flags = own?.ConstructorArguments[0].Value switch
        {
            byte one => [one],
            ReadOnlyCollection<CustomAttributeTypedArgument> many => [.. many.Select(argument => (byte)argument.Value!)],
            _ => [Context(context)],
        };
        return new Annotations(flags, names?.ConstructorArguments[0].Value is ReadOnlyCollection<CustomAttributeTypedArgument> all
            ? all.Select(argument => (string?)argument.Value)
            : []);
    }

    private static byte Context(MemberInfo? member)
    {
        for (; member is not null; member = member.DeclaringType)
        {
            if (Of(member.GetCustomAttributesData()) is { } flag)
            {
                return flag;
            }

            if (member is Type { DeclaringType: null } type)
            {
                return Of(type.Module.GetCustomAttributesData()) ?? 0;
            }
        }

        return 0;

        static byte? Of(IEnumerable<CustomAttributeData> attributes) =>
            (byte?)attributes.FirstOrDefault(a => a.AttributeType.FullName == "System.Runtime.CompilerServices.NullableContextAttribute")?.ConstructorArguments[0].Value;
    }
}
