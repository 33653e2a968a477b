%% SPDX-License-Identifier: Apache-2.0
-module(bench_number).
-moduledoc """
Numbers as people read them: about three significant digits, and never more precision than was measured.
""".

-export([text/1, ratio/1, standing/2]).

-spec text(bench_statistics:value()) -> string().
text({at_least, Number}) -> [$≥, $\s | text(Number)];
text(Number) when Number >= 99.95 -> integer_to_list(round(Number));
text(Number) when Number >= 9.995 -> decimals(Number, 1);
text(Number) when Number >= 0.0995 -> decimals(Number, 2);
text(Number) -> decimals(Number, 3).

-spec ratio(term()) -> string().
ratio(unknown) -> "?";
ratio({at_least, Ratio}) -> [$≥, $\s | ratio(Ratio)];
ratio({at_most, Ratio}) when Ratio < 0.01 -> "< 0.01 ×";
ratio({at_most, Ratio}) -> [$≤, $\s | ratio(Ratio)];
ratio(Ratio) -> text(Ratio) ++ " ×".

%% How a ratio to somebody else looks for us. Identical runs differ by 10 % and more: a smaller difference is `same`.
-spec standing(lower | higher, term()) -> better | worse | same | unknown.
standing(_Better, unknown) -> unknown;
standing(lower, Ratio) -> opposite(standing(higher, Ratio));
standing(higher, {at_least, Ratio}) -> bounded(better, standing(higher, Ratio));
standing(higher, {at_most, Ratio}) -> bounded(worse, standing(higher, Ratio));
standing(higher, Ratio) when Ratio > 1.1 -> better;
standing(higher, Ratio) when Ratio < 1 / 1.1 -> worse;
standing(higher, _Ratio) -> same.

%% A bound only tells something in its own direction.
bounded(Direction, Direction) -> Direction;
bounded(_Direction, _Standing) -> unknown.

opposite(better) -> worse;
opposite(worse) -> better;
opposite(Other) -> Other.

decimals(Number, Count) ->
    float_to_list(float(Number), [{decimals, Count}]).
