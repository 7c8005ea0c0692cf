using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;

namespace Swarm.Tests.StandIns;

/// <summary>One line of an API list.</summary>
/// <param name="Type">The declaring type: full name, <c>`n</c> for generic arity, nested types joined by dots.</param>
/// <param name="Kind">type, ctor, method, extension, property, field or event.</param>
/// <param name="Signature">As <c>api/FORMAT.txt</c> says.</param>
/// <param name="Marks">Experimental(ID), Obsolete(warning|error) and the like, joined by blanks; empty for none.</param>
public sealed record ApiLine(string Type, string Kind, string Signature, string Marks)
{
    public override string ToString() => $"{Type} | {Kind} | {Signature}" + (Marks.Length == 0 ? string.Empty : $" | {Marks}");
}

/// <summary>Prints the public API of an assembly by reflection.</summary>
public static class ApiPrinter
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    public static IEnumerable<ApiLine> Print(Assembly assembly) => assembly.GetTypes().Where(IsVisible).SelectMany(Print);

    private static bool IsVisible(Type type) =>
        !type.Name.Contains('<', StringComparison.Ordinal)
        && (type.IsPublic || ((type.IsNestedPublic || type.IsNestedFamily || type.IsNestedFamORAssem) && IsVisible(type.DeclaringType!)));

    private static bool IsVisible(MethodBase? method) =>
        method is not null && (method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly);

    private static IEnumerable<ApiLine> Print(Type type)
    {
        string name = ApiTypes.FullName(type);
        ApiLine Line(string kind, string signature, MemberInfo member) => new(name, kind, signature, Marks(member));
        yield return Line("type", Head(type), type);
        foreach (ConstructorInfo ctor in type.GetConstructors(Declared).Where(c => IsVisible(c) && !c.IsStatic))
        {
            yield return Line("ctor", $"{Access(ctor)}{ApiTypes.SimpleName(type)}({Parameters(ctor)})", ctor);
        }

        foreach (MethodInfo method in type.GetMethods(Declared).Where(m => IsVisible(m) && !IsAccessor(m) && !m.Name.Contains('<', StringComparison.Ordinal)))
        {
            string kind = method.IsDefined(typeof(ExtensionAttribute), false) ? "extension" : "method";
            yield return Line(kind, Method(method), method);
        }

        foreach (PropertyInfo property in type.GetProperties(Declared).Where(p => IsVisible(p.GetMethod) || IsVisible(p.SetMethod)))
        {
            yield return Line("property", Property(property), property);
        }

        foreach (EventInfo @event in type.GetEvents(Declared).Where(e => IsVisible(e.AddMethod)))
        {
            string words = Access(@event.AddMethod!) + Modifiers(@event.AddMethod!);
            yield return Line("event", $"{words}{ApiTypes.Name(@event.EventHandlerType!, Annotations.Of(@event))} {@event.Name}", @event);
        }

        foreach (FieldInfo field in type.GetFields(Declared).Where(f => !f.IsSpecialName && (f.IsPublic || f.IsFamily || f.IsFamilyOrAssembly)))
        {
            yield return Line("field", Field(field), field);
        }
    }

    private static string Head(Type type)
    {
        string name = ApiTypes.SimpleName(type) + Generics(type.GetGenericArguments().Skip(type.DeclaringType?.GetGenericArguments().Length ?? 0));
        if (type.IsEnum)
        {
            return $"enum {name} : {ApiTypes.Name(type.GetEnumUnderlyingType(), Annotations.None)}" + (type.IsDefined(typeof(FlagsAttribute), false) ? " [Flags]" : string.Empty);
        }

        bool readOnly = type.IsDefined(typeof(IsReadOnlyAttribute), false);
        bool record = type.GetMethod("<Clone>$", Declared) is not null;
        string words = type.IsInterface ? "interface"
            : type.IsValueType ? $"{(readOnly ? "readonly " : "")}{(type.IsByRefLike ? "ref " : "")}struct"
            : (type is { IsAbstract: true, IsSealed: true } ? "static " : type.IsAbstract ? "abstract " : type.IsSealed ? "sealed " : "") + (record ? "record class" : "class");
        IEnumerable<string> bases = type.GetInterfaces().Where(IsVisible).Select(i => ApiTypes.Name(i, Annotations.None)).Order(StringComparer.Ordinal);
        if (type.BaseType is { } parent && parent != typeof(object) && parent != typeof(ValueType))
        {
            bases = bases.Prepend(ApiTypes.Name(parent, Annotations.None));
        }

        string all = string.Join(", ", bases);
        return $"{words} {name}{(all.Length == 0 ? "" : " : " + all)}{Constraints(type.GetGenericArguments())}";
    }

    private static string Method(MethodInfo method)
    {
        string words = Access(method) + Modifiers(method);
        Type[] arguments = method.GetGenericArguments();
        string result = ApiTypes.Name(method.ReturnType, Annotations.Of(method.ReturnParameter));
        return $"{words}{result} {method.Name}{Generics(arguments)}({Parameters(method)}){Constraints(arguments)}";
    }

    private static string Property(PropertyInfo property)
    {
        MethodInfo? get = IsVisible(property.GetMethod) ? property.GetMethod : null;
        MethodInfo? set = IsVisible(property.SetMethod) ? property.SetMethod : null;
        MethodInfo widest = get is { IsPublic: true } || set is null ? get! : set.IsPublic || get is null ? set : get;
        string Accessor(MethodInfo? accessor, string word) =>
            accessor is null ? string.Empty : (accessor.IsPublic || !widest.IsPublic ? string.Empty : "protected ") + word + "; ";
        bool init = set?.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit)) == true;
        ParameterInfo[] index = property.GetIndexParameters();
        string name = index.Length == 0 ? property.Name : $"this[{string.Join(", ", index.Select(Parameter))}]";
        string required = property.IsDefined(typeof(RequiredMemberAttribute), false) ? "required " : string.Empty;
        return $"{Access(widest)}{Modifiers(widest)}{required}{ApiTypes.Name(property.PropertyType, Annotations.Of(property))} {name} "
            + $"{{ {Accessor(get, "get")}{Accessor(set, init ? "init" : "set")}}}";
    }

    private static string Field(FieldInfo field)
    {
        if (field.DeclaringType!.IsEnum)
        {
            return $"{field.Name} = {Convert.ToString(field.GetRawConstantValue(), CultureInfo.InvariantCulture)}";
        }

        string type = ApiTypes.Name(field.FieldType, Annotations.Of(field));
        string access = field.IsPublic ? string.Empty : "protected ";
        if (field.IsLiteral)
        {
            return $"{access}const {type} {field.Name} = {Literal(field.GetRawConstantValue(), field.FieldType)}";
        }

        string required = field.IsDefined(typeof(RequiredMemberAttribute), false) ? "required " : string.Empty;
        return $"{access}{(field.IsStatic ? "static " : "")}{(field.IsInitOnly ? "readonly " : "")}{required}{type} {field.Name}";
    }

    private static bool IsAccessor(MethodInfo method) =>
        method.IsSpecialName && !method.Name.StartsWith("op_", StringComparison.Ordinal);

    private static string Access(MethodBase method) => method.IsPublic ? string.Empty : "protected ";

    private static string Modifiers(MethodInfo method) =>
        (method.IsStatic ? "static " : string.Empty)
        + (method.IsAbstract && !method.DeclaringType!.IsInterface ? "abstract " : string.Empty);

    private static string Generics(IEnumerable<Type> arguments)
    {
        string names = string.Join(", ", arguments.Select(argument =>
            (argument.GenericParameterAttributes & GenericParameterAttributes.VarianceMask) switch
            {
                GenericParameterAttributes.Covariant => "out ",
                GenericParameterAttributes.Contravariant => "in ",
                _ => string.Empty,
            } + argument.Name));
        return names.Length == 0 ? string.Empty : $"<{names}>";
    }

    private static string Constraints(Type[] arguments) => string.Concat(arguments.Where(argument => argument.IsGenericParameter).Select(argument =>
    {
        GenericParameterAttributes special = argument.GenericParameterAttributes;
        bool value = special.HasFlag(GenericParameterAttributes.NotNullableValueTypeConstraint);
        List<string> all = [];
        if (special.HasFlag(GenericParameterAttributes.ReferenceTypeConstraint))
        {
            all.Add("class");
        }

        if (value)
        {
            all.Add("struct");
        }

        all.AddRange(argument.GetGenericParameterConstraints().Where(type => type != typeof(ValueType)).Select(type => ApiTypes.Name(type, Annotations.None)));
        if (special.HasFlag(GenericParameterAttributes.DefaultConstructorConstraint) && !value)
        {
            all.Add("new()");
        }

        return all.Count == 0 ? string.Empty : $" where {argument.Name} : {string.Join(", ", all)}";
    }));

    private static string Parameters(MethodBase method)
    {
        bool extension = method.IsDefined(typeof(ExtensionAttribute), false);
        return string.Join(", ", method.GetParameters().Select((parameter, i) => (extension && i == 0 ? "this " : string.Empty) + Parameter(parameter)));
    }

    private static string Parameter(ParameterInfo parameter)
    {
        Type type = parameter.ParameterType;
        string words = parameter.IsDefined(typeof(ParamArrayAttribute), false) || parameter.IsDefined(typeof(ParamCollectionAttribute), false) ? "params " : string.Empty;
        if (type.IsByRef)
        {
            words += parameter.IsOut ? "out " : parameter.IsDefined(typeof(RequiresLocationAttribute), false) ? "ref readonly " : parameter.IsIn ? "in " : "ref ";
        }

        string value = parameter.HasDefaultValue ? " = " + Literal(parameter.RawDefaultValue, type) : string.Empty;
        return $"{words}{ApiTypes.Name(type, Annotations.Of(parameter))} {parameter.Name}{value}";
    }

    private static string Literal(object? value, Type type)
    {
        type = type.IsByRef ? type.GetElementType()! : type;
        Type enumType = Nullable.GetUnderlyingType(type) ?? type;
        return value switch
        {
            null when type.IsValueType && Nullable.GetUnderlyingType(type) is null => "default",
            null when type.IsGenericParameter => "default",
            null => "null",
            _ when enumType.IsEnum => $"{enumType.Name}.{Enum.GetName(enumType, value) ?? value}",
            string text => $"\"{text}\"",
            bool flag => flag ? "true" : "false",
            _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
        };
    }

    private static string Marks(MemberInfo member)
    {
        List<string> marks = [];
        foreach (CustomAttributeData attribute in member.GetCustomAttributesData())
        {
            IList<CustomAttributeTypedArgument> arguments = attribute.ConstructorArguments;
            string? mark = attribute.AttributeType.Name switch
            {
                nameof(ExperimentalAttribute) => $"Experimental({arguments[0].Value})",

                // The compiler puts one on every ref struct and on types with required members, for compilers that know neither.
                nameof(ObsoleteAttribute) when member is Type { IsByRefLike: true } || member.IsDefined(typeof(CompilerFeatureRequiredAttribute)) => null,
                nameof(ObsoleteAttribute) => $"Obsolete({(arguments is [_, { Value: true }] ? "error" : "warning")})",
                nameof(OverloadResolutionPriorityAttribute) => $"OverloadResolutionPriority({arguments[0].Value})",
                "EditorBrowsableAttribute" when arguments[0].Value is 1 => "EditorBrowsable(Never)",
                nameof(RequiresUnreferencedCodeAttribute) => "RequiresUnreferencedCode",
                _ => null,
            };
            if (mark is not null)
            {
                marks.Add(mark);
            }
        }

        MethodInfo? body = member is PropertyInfo property ? property.GetMethod ?? property.SetMethod : member as MethodInfo;
        if (body is { IsAbstract: false, IsStatic: false, DeclaringType.IsInterface: true })
        {
            marks.Add("DefaultInterfaceMember");
        }

        return string.Join(' ', marks.Order(StringComparer.Ordinal));
    }
}
