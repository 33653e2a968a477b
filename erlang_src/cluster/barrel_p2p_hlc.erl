%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_hlc).
-moduledoc """
The hybrid logical clock of this node: timestamps that follow the wall clock and still order causes before effects.

One clock per virtual machine, in the native core. `now/0` always gives a greater timestamp than any before it on this node, whatever the wall
clock does; after `update/1` it is also greater than the one that came from elsewhere.
""".

-export([now/0, update/1, compare/2, wall_time/1, logical/1, pack/1, to_binary/1, from_binary/1]).
-export_type([timestamp/0]).

%% Wall is milliseconds since the Unix epoch; Logical orders what happened within one.
-type timestamp() :: {timestamp, Wall :: non_neg_integer(), Logical :: non_neg_integer()}.

-spec now() -> timestamp().
now() ->
    {Wall, Logical} = barrel_p2p_nif:hlc_now(),
    {timestamp, Wall, Logical}.

%% A timestamp greater than both clocks. One that is further ahead than max_clock_skew_ms is refused, so that a single wrong clock
%% does not carry the whole cluster away; the own clock then stays as it is.
-spec update(Remote :: timestamp()) -> timestamp() | {error, too_far_ahead}.
update({timestamp, Wall, Logical}) ->
    case barrel_p2p_nif:hlc_update(Wall, Logical) of
        {ok, {NewWall, NewLogical}} -> {timestamp, NewWall, NewLogical};
        {error, too_far_ahead} -> {error, too_far_ahead}
    end.

-spec compare(timestamp(), timestamp()) -> lt | eq | gt.
compare({timestamp, Wall, Logical}, {timestamp, Wall, Logical}) -> eq;
compare({timestamp, _, _} = A, {timestamp, _, _} = B) when A < B -> lt;
compare({timestamp, _, _}, {timestamp, _, _}) -> gt.

-spec wall_time(timestamp()) -> non_neg_integer().
wall_time({timestamp, Wall, _}) -> Wall.

-spec logical(timestamp()) -> non_neg_integer().
logical({timestamp, _, Logical}) -> Logical.

%% One integer that orders like the timestamps.
-spec pack(timestamp()) -> non_neg_integer().
pack({timestamp, Wall, Logical}) -> (Wall bsl 32) bor (Logical band 16#ffffffff).

%% Twelve bytes that order like the timestamps.
-spec to_binary(timestamp()) -> <<_:96>>.
to_binary({timestamp, Wall, Logical}) -> <<Wall:64, Logical:32>>.

-spec from_binary(<<_:96>>) -> timestamp().
from_binary(<<Wall:64, Logical:32>>) -> {timestamp, Wall, Logical}.
