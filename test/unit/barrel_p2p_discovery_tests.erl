%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_discovery_tests).
-moduledoc """
The chain of backends, and the backends that need no network.
""".
-include_lib("eunit/include/eunit.hrl").

%% logger handler callback
-export([log/2]).

-define(STATIC, barrel_p2p_discovery_static).
-define(FILE_BACKEND, barrel_p2p_discovery_file).
-define(DNS, barrel_p2p_discovery_dns).

%% The chain

first_backend_that_knows_the_node_answers_test() ->
    with([?STATIC, backend(#{answer => {ok, {"10.0.0.2", 2}}})], [{discovery_nodes, [{'a@h', "10.0.0.1", 1}, {'a@h', "::1", 11}]}], fun() ->
        ?assertEqual({ok, [{<<"10.0.0.1">>, 1}, {<<"::1">>, 11}]}, barrel_p2p_discovery:addresses('a@h')),
        ?assertEqual({ok, [{<<"10.0.0.1">>, 1}, {<<"::1">>, 11}]}, barrel_p2p_discovery:addresses(<<"a@h">>)),
        ?assertEqual({ok, [{<<"10.0.0.2">>, 2}]}, barrel_p2p_discovery:addresses('b@h')),
        ?assertEqual({ok, {<<"10.0.0.1">>, 1}}, barrel_p2p_discovery:lookup('a@h', "h"))
    end).

node_that_nobody_knows_test() ->
    with([?STATIC, backend(#{})], [], fun() ->
        ?assertEqual({error, not_found}, barrel_p2p_discovery:addresses('a@h')),
        ?assertEqual({error, not_found}, barrel_p2p_discovery:lookup('a@h', "h")),
        ?assertEqual({error, not_found}, barrel_p2p_discovery:addresses(nonsense)),
        ?assertEqual({error, not_found}, barrel_p2p_discovery:addresses(<<"a/../b@h">>))
    end).

no_atom_is_made_of_a_name_test() ->
    Name = iolist_to_binary(["unseen", integer_to_list(erlang:unique_integer([positive])), "@h"]),
    with([?STATIC, ?FILE_BACKEND, backend(#{answer => {ok, {"10.0.0.2", 2}}})], [], fun() ->
        ?assertEqual({ok, [{<<"10.0.0.2">>, 2}]}, barrel_p2p_discovery:addresses(Name)),
        ?assertError(badarg, binary_to_existing_atom(Name))
    end).

args_reach_init_and_state_reaches_register_test() ->
    flush(),
    {_, Args} = Backend = backend(#{}),
    with([Backend], [], fun() ->
        ok = barrel_p2p_discovery:register('a@h', 7),
        ok = barrel_p2p_discovery:register('a@h', 8),
        ok = barrel_p2p_discovery:unregister('a@h'),
        ?assertEqual([{initialised, Args}, {register, 'a@h', 7, 0}, {register, 'a@h', 8, 1}, {unregister, 'a@h'}], flush())
    end).

chain_is_a_backend_itself_test() ->
    flush(),
    Backend = backend(#{}),
    {ok, State} = barrel_p2p_discovery:init(#{backends => [?STATIC, Backend]}),
    ?assertEqual({ok, State}, barrel_p2p_discovery:register('a@h', 7, State)),
    ?assertMatch([{initialised, _}, {register, 'a@h', 7, 0}], flush()).

crashing_backend_is_skipped_and_logged_once_test() ->
    forget_complaints(discovery_crashing_backend),
    with([discovery_crashing_backend, backend(#{answer => {ok, {"10.0.0.2", 2}}, knows => true})], [], fun() ->
        Logged = logged(fun() ->
            [?assertEqual({ok, [{<<"10.0.0.2">>, 2}]}, barrel_p2p_discovery:addresses('b@h')) || _ <- [1, 2, 3]],
            ?assert(barrel_p2p_discovery:knows('b@h')),
            ?assertEqual({ok, []}, barrel_p2p_discovery:list_nodes("h")),
            ok = barrel_p2p_discovery:register('b@h', 1),
            ok = barrel_p2p_discovery:unregister('b@h')
        end),
        ?assertEqual([knows, list_nodes, lookup, register, unregister], lists:sort([Function || #{function := Function} <- Logged]))
    end).

missing_module_is_skipped_test() ->
    with([no_such_backend, backend(#{answer => {ok, {"10.0.0.2", 2}}})], [], fun() ->
        ?assertEqual({ok, [{<<"10.0.0.2">>, 2}]}, barrel_p2p_discovery:addresses('b@h'))
    end).

nonsense_answers_are_skipped_test() ->
    [begin
         forget_complaints(discovery_backend),
         with([backend(#{answer => Answer}), {?DNS, #{}}], [], fun() ->
             ?assertEqual({Answer, {ok, [{<<"127.0.0.1">>, 4433}]}}, {Answer, barrel_p2p_discovery:addresses('b@127.0.0.1')})
         end)
     end || Answer <- [ok, {ok, []}, {ok, {"h", 0}}, {ok, {"h", 1, 2}}, {ok, [{"h", 1}, {h, 1}]}, {ok, {"a b", 1}}, {error, broken}]].

%% A backend that resolves a name while net_kernel is in listen hangs the node for ever.
foreign_backends_do_not_run_inside_net_kernel_test() ->
    flush(),
    with([?STATIC, backend(#{knows => true})], [{discovery_nodes, [{'a@h', "10.0.0.1", 1}]}], fun() ->
        true = register(net_kernel, self()),
        try
            ok = barrel_p2p_discovery:register('b@h', 1),
            ok = barrel_p2p_discovery:unregister('b@h'),
            ?assert(barrel_p2p_discovery:knows('a@h')),
            ?assertNot(barrel_p2p_discovery:knows('b@h')),
            ?assertEqual([], flush())
        after
            unregister(net_kernel)
        end,
        ?assert(barrel_p2p_discovery:knows('b@h'))
    end).

nodes_of_all_backends_are_listed_once_test() ->
    with([?STATIC, backend(#{nodes => {ok, [{'a@h', 1}, {'c@h', 3}]}})], [{discovery_nodes, [{'a@h', "h", 1}, {'b@other', "h", 2}]}], fun() ->
        ?assertEqual({ok, [{'a@h', 1}, {'c@h', 3}]}, barrel_p2p_discovery:list_nodes("h"))
    end).

%% Static

static_answers_a_pair_or_a_list_test() ->
    with([?STATIC], [{discovery_nodes, [{'a@h', "h", 1}, {'b@h', "h", 2}, {'b@h', "i", 3}]}], fun() ->
        ?assertEqual({ok, {<<"h">>, 1}}, ?STATIC:lookup('a@h', "h")),
        ?assertEqual({ok, [{<<"h">>, 2}, {<<"i">>, 3}]}, ?STATIC:lookup(<<"b@h">>, "h")),
        ?assertEqual({error, not_found}, ?STATIC:lookup('c@h', "h")),
        ?assertEqual([true, false], [barrel_p2p_discovery:knows(Node) || Node <- ['a@h', 'c@h']])
    end).

%% Files

endpoint_files_are_read_test() ->
    in_directory(fun(Directory) ->
        write(Directory, "a@127.0.0.1.endpoint", "{\"127.0.0.1\", 4433}.\n"),
        write(Directory, "b@::1.endpoint", " { \"::1\" ,\n 65535 } .\n\n"),
        ?assertEqual({ok, {"127.0.0.1", 4433}}, ?FILE_BACKEND:lookup('a@127.0.0.1', "127.0.0.1")),
        ?assertEqual({ok, [{<<"::1">>, 65535}]}, barrel_p2p_discovery:addresses(<<"b@::1">>)),
        ?assertEqual({error, not_found}, ?FILE_BACKEND:lookup('c@h', "h")),
        ?assertEqual([true, false], [barrel_p2p_discovery:knows(Node) || Node <- ['a@127.0.0.1', 'c@h']])
    end).

malformed_endpoint_files_are_refused_test() ->
    in_directory(fun(Directory) ->
        [begin
             write(Directory, "a@h.endpoint", Content),
             ?assertEqual({Content, {error, malformed_endpoint}}, {Content, ?FILE_BACKEND:lookup('a@h', "h")}),
             ?assertNot(?FILE_BACKEND:knows('a@h'))
         end || Content <- ["", "{\"h\", 1}", "{\"h\", 0}.", "{\"h\", 65536}.", "{\"h\", 99999999999}.", "{h, 1}.", "{\"\", 1}.", "{\"a b\", 1}.",
                            "{\"h\\x00\", 1}.", "{\"h\", 1}.{\"h\", 1}.", "{\"h\", 16#1}.", <<255, 254>>,
                            ["{\"h\", 1}.", lists:duplicate(4096, $\n)]]],
        ok = file:delete(filename:join(Directory, "a@h.endpoint")),
        ok = file:make_dir(filename:join(Directory, "a@h.endpoint")),
        ?assertEqual({error, malformed_endpoint}, ?FILE_BACKEND:lookup('a@h', "h"))
    end).

words_in_endpoint_files_do_not_become_atoms_test() ->
    in_directory(fun(Directory) ->
        Word = "unseen" ++ integer_to_list(erlang:unique_integer([positive])),
        write(Directory, "a@h.endpoint", ["{\"h\", ", Word, "}."]),
        write(Directory, [Word, "@h h.endpoint"], "{\"h\", 1}."),
        write(Directory, [Word, "@h.endpoint.tmp"], "{\"h\", 1}."),
        ?assertEqual({error, malformed_endpoint}, ?FILE_BACKEND:lookup('a@h', "h")),
        ?assertEqual({ok, []}, ?FILE_BACKEND:list_nodes("h")),
        [?assertError(badarg, list_to_existing_atom(Unseen)) || Unseen <- [Word, Word ++ "@h h", Word ++ "@h", Word ++ "@h.endpoint"]]
    end).

endpoint_files_of_a_host_are_listed_test() ->
    in_directory(fun(Directory) ->
        write(Directory, "a@h.endpoint", "{\"h\", 1}."),
        write(Directory, "b@h.endpoint", "{\"h\", 2}."),
        write(Directory, "c@other.endpoint", "{\"other\", 3}."),
        write(Directory, "d@h.endpoint", "broken"),
        write(Directory, "README", "text"),
        ?assertEqual({ok, [{'a@h', 1}, {'b@h', 2}]}, barrel_p2p_discovery:list_nodes("h"))
    end).

missing_directory_is_empty_test() ->
    with([?FILE_BACKEND], [{discovery_dir, "/nonexistent/barrel_p2p"}], fun() ->
        ?assertEqual({error, not_found}, ?FILE_BACKEND:lookup('a@h', "h")),
        ?assertEqual({ok, []}, ?FILE_BACKEND:list_nodes("h"))
    end).

registering_without_an_endpoint_is_an_error_test() ->
    with([?FILE_BACKEND], [], fun() ->
        ?assertMatch({error, "the distribution over barrel_p2p is not started" ++ _}, ?FILE_BACKEND:register('a@h', 1, #{})),
        ?assertMatch({error, "the distribution over barrel_p2p is not started" ++ _}, ?FILE_BACKEND:unregister('a@h')),
        ?assertEqual({error, invalid_node_name}, ?FILE_BACKEND:register('../a@h', 1, #{})),
        ?assertEqual({error, invalid_node_name}, ?FILE_BACKEND:unregister('../a@h'))
    end).

with(Backends, Env, Test) ->
    config_fixture:with([{discovery_backends, Backends} | Env], Test).

backend(Args) ->
    {discovery_backend, Args#{tell => self(), unique => make_ref()}}.

flush() ->
    receive
        Message when element(1, Message) =/= '$gen_call' -> [Message | flush()]
    after 0 -> []
    end.

forget_complaints(Module) ->
    [persistent_term:erase(Key) || {{barrel_p2p_discovery, complained, M, _} = Key, _} <- persistent_term:get(), M =:= Module],
    ok.

%% The discovery reports logged while Test runs.
logged(Test) ->
    ok = logger:add_handler(?FUNCTION_NAME, ?MODULE, #{config => self(), filters => []}),
    try Test() after logger:remove_handler(?FUNCTION_NAME) end,
    [Report || {logged, #{event := discovery_failed} = Report} <- flush()].

log(#{msg := {report, Report}}, #{config := Pid}) -> Pid ! {logged, Report};
log(_, _) -> ok.

in_directory(Test) ->
    Base = case os:getenv("TMPDIR") of false -> "/tmp"; Dir -> Dir end,
    Directory = filename:join(Base, "barrel_p2p_discovery_tests." ++ os:getpid() ++ "." ++ integer_to_list(erlang:unique_integer([positive]))),
    ok = file:make_dir(Directory),
    try
        with([?FILE_BACKEND], [{discovery_dir, Directory}], fun() -> Test(Directory) end)
    after
        file:del_dir_r(Directory)
    end.

write(Directory, Name, Content) ->
    ok = file:write_file(filename:join(Directory, lists:flatten(Name)), Content).
