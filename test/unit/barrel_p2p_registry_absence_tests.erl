%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry_absence_tests).
-moduledoc """
Who has been away for how long, seen by nodes in company and by one that is cut off.
""".
-include_lib("eunit/include/eunit.hrl").

-define(PATIENCE_MS, 1_000_000).

%% What the one that was cut off removes would be removed everywhere when it is back.
node_that_is_cut_off_gives_nobody_up_test() ->
    {Lost, Absence} = at(0, 3 * ?PATIENCE_MS, [a, b], false, new()),
    ?assertEqual([], Lost),
    %% Not with its first neighbour either, who has still to say who else is there.
    {Soon, Later} = at(3 * ?PATIENCE_MS + 5_000, 4 * ?PATIENCE_MS, [a, b], true, Absence),
    ?assertEqual([], Soon),
    ?assertMatch({[a, b], _}, at(4 * ?PATIENCE_MS + 5_000, 4 * ?PATIENCE_MS + 20_000, [a, b], true, Later)).

node_that_is_away_for_too_long_is_given_up_once_test() ->
    {[], Absence} = at(0, ?PATIENCE_MS, [a], true, new()),
    {Lost, After} = at(?PATIENCE_MS + 5_000, ?PATIENCE_MS + 5_000, [a], true, Absence),
    ?assertEqual([a], Lost),
    ?assertMatch({[], _}, at(?PATIENCE_MS + 10_000, 2 * ?PATIENCE_MS, [a], true, After)).

node_that_was_back_meanwhile_is_kept_test() ->
    {[], Absence} = at(0, ?PATIENCE_MS - 5_000, [a, b], true, new()),
    {[a], [], Back} = barrel_p2p_registry_absence:audited([b], true, ?PATIENCE_MS, ?PATIENCE_MS, Absence),
    ?assertMatch({[b], _}, at(?PATIENCE_MS + 5_000, ?PATIENCE_MS + 20_000, [a, b], true, Back)).

new_absence_is_told_for_a_while_test() ->
    {Changed0, [], First} = barrel_p2p_registry_absence:audited([a], true, 0, ?PATIENCE_MS, new()),
    {Changed1, [], Second} = barrel_p2p_registry_absence:audited([a], true, 5_000, ?PATIENCE_MS, First),
    {Changed2, [], _} = barrel_p2p_registry_absence:audited([a], true, 20_000, ?PATIENCE_MS, Second),
    ?assertEqual({[], [a], []}, {Changed0, Changed1, Changed2}).

new() ->
    barrel_p2p_registry_absence:new().

%% An audit every five seconds, and who was given up by any of them.
at(From, To, Gone, HasNeighbour, Absence) ->
    lists:foldl(fun(Now, {Lost, Before}) ->
                    {_, New, After} = barrel_p2p_registry_absence:audited(Gone, HasNeighbour, Now, ?PATIENCE_MS, Before),
                    {lists:sort(Lost ++ New), After}
                end, {[], Absence}, lists:seq(From, To, 5_000)).
