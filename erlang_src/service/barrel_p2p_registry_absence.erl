%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry_absence).
-moduledoc """
How long the nodes whose registrations we keep have been away, and when to give them up. Pure.

Keeps: a node that is cut off from everybody gives nobody up, since what it removed would be removed everywhere when it is back. Absence counts from
when a node was first missed while this one had a neighbour.
""".

-export([new/0, audited/5]).
-export_type([absence/0]).

%% Since when each of them has been missed, and since when this node has had a neighbour.
-record(absence, {since = #{} :: #{node() => Milliseconds :: integer()}, company = none :: none | Milliseconds :: integer()}).
-opaque absence() :: #absence{}.

%% How long a new absence is told with each audit.
-define(NEW_MS, 15_000).

-spec new() -> absence().
new() ->
    #absence{}.

%% Gone are all nodes that are missed now, to be told regularly. Changed are those of which it was no news at the audit before but may be for others:
%% they are back, or have not been away for long. Lost are those that have been away for more than the patience.
-spec audited(Gone :: [node()], HasNeighbour :: boolean(), NowMs :: integer(), PatienceMs :: non_neg_integer(), absence()) ->
          {Changed :: [node()], Lost :: [node()], absence()}.
audited(Gone, HasNeighbour, Now, Patience, #absence{since = Before, company = Company}) ->
    Since = maps:from_list([{Node, maps:get(Node, Before, Now)} || Node <- Gone]),
    Changed = [Node || {Node, From} <- maps:to_list(Before), not is_map_key(Node, Since) orelse Now - From < ?NEW_MS],
    case company(HasNeighbour, Company, Now) of
        none ->
            {Changed, [], #absence{since = Since, company = none}};
        Met ->
            Lost = [Node || {Node, From} <- maps:to_list(Since), Now - max(From, Met) > Patience],
            {Changed, Lost, #absence{since = maps:without(Lost, Since), company = Met}}
    end.

-spec company(boolean(), none | integer(), integer()) -> none | integer().
company(false, _, _) -> none;
company(true, none, Now) -> Now;
company(true, Since, _) -> Since.
