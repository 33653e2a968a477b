%% SPDX-License-Identifier: Apache-2.0
-module(bench_json).
-moduledoc """
JSON text of plain terms, and back. OTP has a codec of its own from 27 on; this one goes when 27 is the oldest supported release.

Maps become objects with sorted keys, one per line; `{at_least, N}` becomes an object that says so. Read back, keys are atoms
and text is binaries: it reads what this benchmark wrote, not what a stranger did.
""".

-export([encode/1, decode/1]).

-spec encode(term()) -> iodata().
encode(Term) ->
    [value(Term, 0), $\n].

-spec decode(binary()) -> term().
decode(Text) ->
    {Term, Rest} = read(blank(Text)),
    <<>> = blank(Rest),
    Term.

value(Map, Depth) when is_map(Map), map_size(Map) > 0 ->
    Pairs = [[string(to_binary(Key)), ": ", value(Value, Depth + 1)] || {Key, Value} <- lists:sort(maps:to_list(Map))],
    block(${, Pairs, $}, Depth);
value(Map, _Depth) when is_map(Map) -> "{}";
value([First | _] = List, Depth) when is_map(First) -> block($[, [value(Item, Depth + 1) || Item <- List], $], Depth);
value(List, Depth) when is_list(List) -> [$[, lists:join(", ", [value(Item, Depth) || Item <- List]), $]];
value({Bound, Number}, _Depth) -> ["{", string(to_binary(Bound)), ": ", value(Number, 0), "}"];
value(Number, _Depth) when is_integer(Number) -> integer_to_binary(Number);
value(Number, _Depth) when is_float(Number) -> float_to_binary(Number, [{decimals, 4}, compact]);
value(true, _Depth) -> "true";
value(false, _Depth) -> "false";
value(Text, _Depth) -> string(to_binary(Text)).

block(Open, Items, Close, Depth) ->
    Indent = [$\n | lists:duplicate(2 * (Depth + 1), $\s)],
    [Open, lists:join($,, [[Indent, Item] || Item <- Items]), $\n, lists:duplicate(2 * Depth, $\s), Close].

string(Text) ->
    [$", [escaped(Char) || <<Char/utf8>> <= Text], $"].

escaped($") -> "\\\"";
escaped($\\) -> "\\\\";
escaped(Char) when Char < 32 -> io_lib:format("\\u~4.16.0b", [Char]);
escaped(Char) -> <<Char/utf8>>.

to_binary(Atom) when is_atom(Atom) -> atom_to_binary(Atom);
to_binary(Text) when is_binary(Text) -> Text.

read(<<"{", Rest/binary>>) -> object(blank(Rest), #{});
read(<<"[", Rest/binary>>) -> array(blank(Rest), []);
read(<<"\"", Rest/binary>>) -> text(Rest, []);
read(<<"true", Rest/binary>>) -> {true, Rest};
read(<<"false", Rest/binary>>) -> {false, Rest};
read(Text) ->
    {match, [{0, Length}]} = re:run(Text, "^[-+.eE0-9]+"),
    <<Digits:Length/binary, Rest/binary>> = Text,
    {number(Digits), Rest}.

object(<<"}", Rest/binary>>, #{at_least := Number} = Bound) when map_size(Bound) =:= 1 -> {{at_least, Number}, Rest};
object(<<"}", Rest/binary>>, #{at_most := Number} = Bound) when map_size(Bound) =:= 1 -> {{at_most, Number}, Rest};
object(<<"}", Rest/binary>>, Map) -> {Map, Rest};
object(<<",", Rest/binary>>, Map) -> object(blank(Rest), Map);
object(<<"\"", Text/binary>>, Map) ->
    {Key, AfterKey} = text(Text, []),
    <<":", Rest/binary>> = blank(AfterKey),
    {Value, AfterValue} = read(blank(Rest)),
    object(blank(AfterValue), Map#{binary_to_atom(Key) => Value}).

array(<<"]", Rest/binary>>, Items) -> {lists:reverse(Items), Rest};
array(<<",", Rest/binary>>, Items) -> array(blank(Rest), Items);
array(Text, Items) ->
    {Item, Rest} = read(Text),
    array(blank(Rest), [Item | Items]).

text(<<"\"", Rest/binary>>, Chars) -> {unicode:characters_to_binary(lists:reverse(Chars)), Rest};
text(<<"\\u", Hex:4/binary, Rest/binary>>, Chars) -> text(Rest, [binary_to_integer(Hex, 16) | Chars]);
text(<<"\\", Char, Rest/binary>>, Chars) -> text(Rest, [Char | Chars]);
text(<<Char/utf8, Rest/binary>>, Chars) -> text(Rest, [Char | Chars]).

number(Digits) ->
    case string:to_integer(Digits) of
        {Integer, <<>>} -> Integer;
        _ -> binary_to_float(Digits)
    end.

blank(<<Char, Rest/binary>>) when Char =:= $\s; Char =:= $\n -> blank(Rest);
blank(Text) -> Text.
