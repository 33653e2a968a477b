%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry_remote).
-moduledoc """
What other nodes have registered, and whether it may be seen.

Keeps: readers see an entry exactly while the node that registered it is a member and still in the life in which it did so, and each change of
what they see is told once. An entry of a node that is gone is only hidden: if that life of the node comes back, after a partition, so does the
entry. The index belongs to the registry process; what it has shown stands in the tables that readers use, and from there a successor takes up.
""".

-export([new/0, forget_unconfirmed/1, put/4, remove/3, judge/3, owners/1, lives/1]).
-export_type([index/0, lives/0]).

-include("barrel_p2p.hrl").

%% Rows {{Node, KeyBytes}, Entry, Life, shown | hidden}, in the order of nodes. Life `unconfirmed`: a predecessor has shown it, the store has not
%% been asked yet.
-type index() :: ets:table().
-type lives() :: #{node() => barrel_p2p_gossip:life()}.

%% Takes up what a predecessor has shown; put/4 confirms it.
-spec new() -> index().
new() ->
    Index = ets:new(?MODULE, [ordered_set, private]),
    true = ets:insert(Index, [{{Node, barrel_p2p_registry_entry:key(Name, Node)}, Entry, unconfirmed, shown}
                              || #service_entry{name = Name, node = Node} = Entry <- barrel_p2p_registry_table:remotes()]),
    Index.

%% What nobody has confirmed ended while there was no registry process.
-spec forget_unconfirmed(index()) -> ok.
forget_unconfirmed(Index) ->
    Keys = ets:select(Index, [{{'$1', '_', unconfirmed, '_'}, [], ['$1']}]),
    lists:foreach(fun({Node, KeyBytes}) -> remove(Index, KeyBytes, Node) end, Keys).

%% Whether these nodes live, to be asked once for many entries.
-spec lives([node()]) -> lives().
lives(Nodes) ->
    maps:from_list([{Node, barrel_p2p_gossip:life(Node)} || Node <- lists:usort(Nodes)]).

%% The entry is in the store now, from that life of its node.
-spec put(index(), {KeyBytes :: binary(), #service_entry{}}, barrel_p2p_registry_entry:life_of(), lives()) -> ok.
put(Index, {KeyBytes, #service_entry{node = Node} = Entry}, Life, Lives) ->
    Key = {Node, KeyBytes},
    Now = case is_visible(Life, maps:get(Node, Lives)) of true -> shown; false -> hidden end,
    Before = ets:lookup(Index, Key),
    true = ets:insert(Index, {Key, Entry, Life, Now}),
    case {Before, Now} of
        {[{_, Entry, _, shown}], shown} -> ok;
        {[{_, Former, _, shown}], shown} -> replaced(Former, Entry);
        {[{_, Former, _, shown}], hidden} -> hidden(Former, nodedown);
        {_, shown} -> shown(Entry);
        {_, hidden} -> ok
    end.

%% There is a tombstone in the store now.
-spec remove(index(), KeyBytes :: binary(), node()) -> ok.
remove(Index, KeyBytes, Node) ->
    case ets:take(Index, {Node, KeyBytes}) of
        [{_, Entry, _, shown}] ->
            ok = barrel_p2p_registry_table:delete_remote(Entry),
            unregistered(Entry);
        _ ->
            ok
    end.

%% Shows and hides the entries of a node according to what is known about it now.
-spec judge(index(), node(), WhyGone :: nodedown | left) -> ok.
judge(Index, Node, WhyGone) ->
    NodeLife = barrel_p2p_gossip:life(Node),
    Rows = ets:select(Index, [{{{Node, '_'}, '_', '_', '_'}, [], ['$_']}]),
    lists:foreach(fun(Row) -> judge_row(Index, Row, NodeLife, WhyGone) end, Rows).

%% Those that have registered something, hidden or not.
-spec owners(index()) -> [node()].
owners(Index) ->
    owners(Index, ets:first(Index)).

-spec owners(index(), '$end_of_table' | {node(), binary()}) -> [node()].
owners(_Index, '$end_of_table') -> [];
%% No key of this node is greater than all ones: encoded terms begin with 131.
owners(Index, {Node, _}) -> [Node | owners(Index, ets:next(Index, {Node, <<255>>}))].

-spec judge_row(index(), tuple(), barrel_p2p_gossip:life(), nodedown | left) -> ok.
judge_row(Index, {Key, Entry, Life, Before}, NodeLife, WhyGone) ->
    case {Before, is_visible(Life, NodeLife)} of
        {shown, false} ->
            true = ets:update_element(Index, Key, {4, hidden}),
            hidden(Entry, WhyGone);
        {hidden, true} ->
            true = ets:update_element(Index, Key, {4, shown}),
            shown(Entry);
        _ ->
            ok
    end.

%% A later life than the one known is one that we are about to hear of.
-spec is_visible(barrel_p2p_registry_entry:life_of(), barrel_p2p_gossip:life()) -> boolean().
is_visible(_Life, gone) -> false;
is_visible(unknown, {alive, _}) -> true;
is_visible(Life, {alive, Known}) -> Life >= Known.

-spec shown(#service_entry{}) -> ok.
shown(#service_entry{name = Name, node = Node} = Entry) ->
    ok = barrel_p2p_registry_table:insert_remote(Entry),
    barrel_p2p_service_events:notify({service_registered, Name, Node}).

-spec hidden(#service_entry{}, nodedown | left) -> ok.
hidden(#service_entry{name = Name, node = Node} = Entry, WhyGone) ->
    ok = barrel_p2p_registry_table:delete_remote(Entry),
    barrel_p2p_service_events:notify({service_down, Name, Node, WhyGone}).

%% The new one comes before the old one goes: the name can be found all the time.
-spec replaced(#service_entry{}, #service_entry{}) -> ok.
replaced(Former, #service_entry{name = Name, node = Node} = Entry) ->
    ok = barrel_p2p_registry_table:insert_remote(Entry),
    ok = barrel_p2p_registry_table:delete_remote(Former),
    ok = unregistered(Former),
    barrel_p2p_service_events:notify({service_registered, Name, Node}).

-spec unregistered(#service_entry{}) -> ok.
unregistered(#service_entry{name = Name, node = Node}) ->
    barrel_p2p_service_events:notify({service_unregistered, Name, Node}).
