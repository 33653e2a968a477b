%% SPDX-License-Identifier: Apache-2.0
-module(bench_json).
-moduledoc """
JSON text of plain terms. OTP has an encoder of its own from 27 on; this one goes when 27 is the oldest supported release.

Maps become objects with sorted keys, one per line; `{at_least, N}` becomes an object that says so.
""".

-export([encode/1]).

-spec encode(term()) -> iodata().
encode(Term) ->
    [value(Term, 0), $\n].

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
