%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry_remote_tests).
-moduledoc """
What other nodes have registered is seen exactly while they live the life in which they did so, and each change of that is told once.
""".
-include_lib("eunit/include/eunit.hrl").
-include("barrel_p2p.hrl").

-define(LIFE, {1_000, 7}).

remote_test_() ->
    {foreach, fun started/0, fun stopped/1,
     [fun entry_of_a_member_is_shown_once/0, fun entry_of_nobody_is_hidden/0, fun entry_of_a_former_life_is_hidden/0,
      fun entry_of_a_later_life_is_shown/0, fun other_process_takes_the_place_of_the_first/0, fun removed_entry_is_gone/0,
      fun hidden_entry_goes_without_a_word/0, fun member_that_goes_takes_its_entries_along/0, fun successor_tells_only_what_changed/0,
      fun owners_are_named_once/0, fun best_is_local_then_oldest/0, fun tables_agree_after_a_crash_between_two_steps/0]}.

entry_of_a_member_is_shown_once() ->
    Index = index(),
    [ok = put(Index, entry(chat), ?LIFE, {alive, ?LIFE}) || _ <- [1, 2]],
    ?assertEqual([entry(chat)], barrel_p2p_registry_table:lookup(chat)),
    ?assertEqual({'a@h', self()}, barrel_p2p_registry_table:find(chat)),
    ?assertEqual([{service_registered, chat, 'a@h'}], heard()).

entry_of_nobody_is_hidden() ->
    Index = index(),
    ok = put(Index, entry(chat), ?LIFE, gone),
    ?assertEqual({[], none, []}, {barrel_p2p_registry_table:lookup(chat), barrel_p2p_registry_table:find(chat), heard()}),
    ok = put(Index, entry(chat), unknown, {alive, ?LIFE}),
    ?assertEqual([{service_registered, chat, 'a@h'}], heard()).

entry_of_a_former_life_is_hidden() ->
    Index = index(),
    ok = put(Index, entry(chat), {999, 99}, {alive, ?LIFE}),
    ok = put(Index, entry(talk), {1_000, 6}, {alive, ?LIFE}),
    ?assertEqual({[], []}, {barrel_p2p_registry_table:names(), heard()}).

%% We are about to hear of that life.
entry_of_a_later_life_is_shown() ->
    Index = index(),
    ok = put(Index, entry(chat), {1_001, 0}, {alive, ?LIFE}),
    ?assertEqual({[chat], [{service_registered, chat, 'a@h'}]}, {barrel_p2p_registry_table:names(), heard()}).

other_process_takes_the_place_of_the_first() ->
    Index = index(),
    Other = (entry(chat))#service_entry{pid = whereis(init)},
    [ok = put(Index, Entry, ?LIFE, {alive, ?LIFE}) || Entry <- [entry(chat), Other]],
    ?assertEqual([Other], barrel_p2p_registry_table:lookup(chat)),
    ?assertEqual({'a@h', whereis(init)}, barrel_p2p_registry_table:find(chat)),
    ?assertEqual([{service_registered, chat, 'a@h'}, {service_unregistered, chat, 'a@h'}, {service_registered, chat, 'a@h'}], heard()).

removed_entry_is_gone() ->
    Index = index(),
    ok = put(Index, entry(chat), ?LIFE, {alive, ?LIFE}),
    [ok = barrel_p2p_registry_remote:remove(Index, key(chat), 'a@h') || _ <- [1, 2]],
    ?assertEqual({[], none}, {barrel_p2p_registry_table:lookup(chat), barrel_p2p_registry_table:find(chat)}),
    ?assertEqual([{service_registered, chat, 'a@h'}, {service_unregistered, chat, 'a@h'}], heard()).

hidden_entry_goes_without_a_word() ->
    Index = index(),
    ok = put(Index, entry(chat), ?LIFE, gone),
    ok = barrel_p2p_registry_remote:remove(Index, key(chat), 'a@h'),
    ?assertEqual({[], []}, {heard(), barrel_p2p_registry_remote:owners(Index)}).

%% Without an engine nobody is a member.
member_that_goes_takes_its_entries_along() ->
    Index = index(),
    [ok = put(Index, entry(Name), ?LIFE, {alive, ?LIFE}) || Name <- [chat, {chat, 1}]],
    ok = put(Index, (entry(chat))#service_entry{node = 'b@h'}, ?LIFE, {alive, ?LIFE}),
    _ = heard(),
    [ok = barrel_p2p_registry_remote:judge(Index, 'a@h', left) || _ <- [1, 2]],
    ?assertEqual([{service_down, chat, 'a@h', left}, {service_down, {chat, 1}, 'a@h', left}], lists:sort(heard())),
    ?assertMatch({'b@h', _}, barrel_p2p_registry_table:find(chat)),
    ?assertEqual([chat], barrel_p2p_registry_table:names()),
    %% Hidden, not forgotten.
    ?assertEqual(['a@h', 'b@h'], barrel_p2p_registry_remote:owners(Index)),
    ok = put(Index, entry(chat), ?LIFE, {alive, ?LIFE}),
    ?assertEqual([{service_registered, chat, 'a@h'}], heard()).

successor_tells_only_what_changed() ->
    First = index(),
    [ok = put(First, entry(Name), ?LIFE, {alive, ?LIFE}) || Name <- [kept, lost, replaced]],
    true = ets:delete(First),
    _ = heard(),
    Second = barrel_p2p_registry_remote:new(),
    ok = put(Second, entry(kept), ?LIFE, {alive, ?LIFE}),
    ok = put(Second, (entry(replaced))#service_entry{meta = #{a => 1}}, ?LIFE, {alive, ?LIFE}),
    ok = put(Second, entry(new), ?LIFE, {alive, ?LIFE}),
    ok = barrel_p2p_registry_remote:forget_unconfirmed(Second),
    ?assertEqual([{service_unregistered, replaced, 'a@h'}, {service_registered, replaced, 'a@h'}, {service_registered, new, 'a@h'},
                  {service_unregistered, lost, 'a@h'}], heard()),
    ?assertEqual([kept, new, replaced], lists:sort(barrel_p2p_registry_table:names())).

owners_are_named_once() ->
    Index = index(),
    ?assertEqual([], barrel_p2p_registry_remote:owners(Index)),
    Names = [a, "b", <<"c">>, {d}, 1, 1.0, <<255>>, '_'],
    [ok = put(Index, (entry(Name))#service_entry{node = Node}, ?LIFE, gone) || Name <- Names, Node <- ['c@h', 'a@h', 'b@h']],
    ?assertEqual(['a@h', 'b@h', 'c@h'], barrel_p2p_registry_remote:owners(Index)).

best_is_local_then_oldest() ->
    [A, B, C] = [(entry(chat))#service_entry{node = Node} || Node <- ['a@h', 'b@h', 'c@h']],
    Local = (entry(chat))#service_entry{node = node()},
    [ok = barrel_p2p_registry_table:insert_remote(Entry) || Entry <- [C, A, B]],
    ?assertEqual({'c@h', self()}, barrel_p2p_registry_table:find(chat)),
    ok = barrel_p2p_registry_table:insert_local(Local),
    ?assertEqual({local, self()}, barrel_p2p_registry_table:find(chat)),
    ?assertEqual([Local, A, B, C], barrel_p2p_registry_table:lookup(chat)),
    ok = barrel_p2p_registry_table:delete_remote(C),
    ?assertEqual({local, self()}, barrel_p2p_registry_table:find(chat)),
    ok = barrel_p2p_registry_table:delete_local(Local),
    ?assertEqual({'a@h', self()}, barrel_p2p_registry_table:find(chat)),
    [ok = barrel_p2p_registry_table:delete_remote(Entry) || Entry <- [A, B]],
    ?assertEqual({none, []}, {barrel_p2p_registry_table:find(chat), barrel_p2p_registry_table:names()}).

tables_agree_after_a_crash_between_two_steps() ->
    Local = (entry(here))#service_entry{node = node()},
    true = ets:insert(barrel_p2p_registry_local, Local),
    true = ets:insert(barrel_p2p_registry_remote, entry(there)),
    true = ets:insert(barrel_p2p_registry_best, [{nowhere, local, self()}, {there, 'z@h', self()}]),
    ok = barrel_p2p_registry_table:mend(),
    ?assertEqual([{local, self()}, {'a@h', self()}, none], [barrel_p2p_registry_table:find(Name) || Name <- [here, there, nowhere]]).

%% Helpers.

started() ->
    ok = barrel_p2p_registry_table:new(),
    ok = barrel_p2p_service_events:new_table(),
    {ok, Server} = barrel_p2p_service_events:start_link(),
    true = unlink(Server),
    Server.

stopped(Server) ->
    ok = gen_server:stop(Server),
    [true = ets:delete(Table) || Table <- [barrel_p2p_registry_local, barrel_p2p_registry_remote, barrel_p2p_registry_best,
                                           barrel_p2p_service_events]],
    ok.

%% Of the process that runs the test, which is told what happens.
index() ->
    ok = barrel_p2p_service_events:subscribe(self()),
    barrel_p2p_registry_remote:new().

entry(Name) ->
    #service_entry{name = Name, pid = self(), node = 'a@h'}.

key(Name) ->
    barrel_p2p_registry_entry:key(Name, 'a@h').

put(Index, #service_entry{name = Name, node = Node} = Entry, Life, NodeLife) ->
    barrel_p2p_registry_remote:put(Index, {barrel_p2p_registry_entry:key(Name, Node), Entry}, Life, #{Node => NodeLife}).

heard() ->
    receive
        {barrel_p2p_service_event, Event} -> [Event | heard()]
    after 0 -> []
    end.
