%% SPDX-License-Identifier: Apache-2.0
-module(refusal_SUITE).
-moduledoc """
Who must stay out stays out: refused with the reason on both sides, with nothing stored and no atom made. And who has a right to come in
comes in: rotation, strict mode with pins, cookie-only patterns.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([wrong_cookie_is_refused/1, unknown_key_is_refused_in_strict_mode/1, strict_node_does_not_dial_the_unknown/1,
         pinned_key_is_let_in_in_strict_mode/1, changed_key_is_refused_in_tofu_mode/1, changed_key_is_refused_in_strict_mode/1,
         dialler_refuses_a_changed_key/1, key_that_claims_another_name_is_refused/1, other_node_at_the_address_is_refused/1,
         dynamic_name_needs_a_pinned_key_in_strict_mode/1, dist_handshake_keeps_the_name_of_the_hello/1,
         refusals_make_no_atoms/1]).

-import(barrel_p2p_test, [on/2, connect/2, start/3]).
-import(barrel_p2p_test_trust, [refused/3, told/3, logged/2, pins/1, dial/2, knows_atom/2]).

-define(STRICT, {auth_trust_mode, strict}).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [wrong_cookie_is_refused, unknown_key_is_refused_in_strict_mode, strict_node_does_not_dial_the_unknown,
     pinned_key_is_let_in_in_strict_mode, changed_key_is_refused_in_tofu_mode, changed_key_is_refused_in_strict_mode,
     dialler_refuses_a_changed_key, key_that_claims_another_name_is_refused, other_node_at_the_address_is_refused,
     dynamic_name_needs_a_pinned_key_in_strict_mode, dist_handshake_keeps_the_name_of_the_hello, refusals_make_no_atoms].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(cluster(Config)).

cluster(Config) ->
    proplists:get_value(cluster, Config).

wrong_cookie_is_refused(Config) ->
    A = start(cluster(Config), alpha, #{}),
    M = start(cluster(Config), mallory, #{cookie => "another"}),
    ok = refused(M, A, wrong_cookie),
    ok = refused(A, M, wrong_cookie).

unknown_key_is_refused_in_strict_mode(Config) ->
    A = start(cluster(Config), alpha, #{config => [?STRICT]}),
    M = start(cluster(Config), mallory, #{}),
    ok = refused(M, A, unknown_key).

%% The strict side decides, whoever dials. (The other side is free to pin what the strict node has proved.)
strict_node_does_not_dial_the_unknown(Config) ->
    A = start(cluster(Config), alpha, #{config => [?STRICT]}),
    #{node := Node} = B = start(cluster(Config), beta, #{}),
    false = dial(A, Node),
    {unknown_key, _} = on(A, fun() -> barrel_p2p:last_error(Node) end),
    #{node := NodeA} = A,
    ok = told(B, NodeA, unknown_key),
    [] = pins(A).

pinned_key_is_let_in_in_strict_mode(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = [start(cluster(Config), Name, #{config => [?STRICT]}) || Name <- [alpha, beta]],
    [KeyA, KeyB] = [own_key(P) || P <- [A, B]],
    ok = on(A, fun() -> barrel_p2p_dist_keys:store_key(NodeB, KeyB) end),
    %% Both have to know each other: one side is not enough.
    false = dial(B, NodeA),
    ok = on(B, fun() -> barrel_p2p_dist_keys:store_key(NodeA, KeyA) end),
    ok = connect(B, A).

own_key(P) ->
    {ok, Key} = on(P, fun() -> barrel_p2p_dist_auth:get_public_key() end),
    Key.

changed_key_is_refused_in_tofu_mode(Config) ->
    changed_key(Config, tofu).

changed_key_is_refused_in_strict_mode(Config) ->
    changed_key(Config, strict).

changed_key(Config, Mode) ->
    A = start(cluster(Config), alpha, #{}),
    B = start(cluster(Config), beta, #{}),
    ok = connect(B, A),
    [_] = pins(A),
    ok = on(A, fun() -> barrel_p2p_dist_keys:set_trust_mode(Mode) end),
    ok = gone(B, A),
    %% The same name with other key files.
    New = start(cluster(Config), beta, #{data => "new_beta"}),
    ok = refused(New, A, key_mismatch),
    [_] = pins(A).

dialler_refuses_a_changed_key(Config) ->
    A = start(cluster(Config), alpha, #{}),
    #{node := Node} = B = start(cluster(Config), beta, #{}),
    ok = connect(A, B),
    Pins = pins(A),
    ok = gone(B, A),
    New = start(cluster(Config), beta, #{data => "new_beta"}),
    false = dial(A, Node),
    {key_mismatch, _} = on(A, fun() -> barrel_p2p:last_error(Node) end),
    #{node := NodeA} = A,
    ok = told(New, NodeA, key_mismatch),
    Pins = pins(A).

%% Stops the first node; returns when the second has noticed.
gone(B, A) ->
    _ = barrel_p2p_test:async(B, fun erlang:halt/0),
    barrel_p2p_test:wait_until(gone, fun() -> not barrel_p2p_test:connected(A, B) end, 6_000).

%% Mallory is known and honest under her own name; her key does not make her Bob.
key_that_claims_another_name_is_refused(Config) ->
    A = start(cluster(Config), alpha, #{}),
    Known = [begin P = start(cluster(Config), Name, #{}), ok = connect(P, A), P end || Name <- [bob, mallory]],
    [ok = gone(P, A) || P <- Known],
    Fake = start(cluster(Config), bob, #{data => "mallory"}),
    ok = refused(Fake, A, key_mismatch),
    2 = length(pins(A)).

%% A wrong entry in discovery leads to a node that is honest and somebody else.
other_node_at_the_address_is_refused(Config) ->
    #{node := NodeB} = B = start(cluster(Config), beta, #{}),
    {Host, Port} = barrel_p2p_test:published(cluster(Config), NodeB),
    #{node := NodeA} = A = start(cluster(Config), alpha, #{config => [{discovery_nodes, [{'ghost@127.0.0.1', {Host, Port}}]}]}),
    false = dial(A, 'ghost@127.0.0.1'),
    {name_mismatch, _} = on(A, fun() -> barrel_p2p:last_error('ghost@127.0.0.1') end),
    {name_mismatch, _} = on(B, fun() -> barrel_p2p:last_error(NodeA) end),
    [ok = logged(P, name_mismatch) || P <- [A, B]],
    {[], []} = {pins(A), pins(B)},
    %% Under its own name it is welcome.
    ok = connect(A, B).

dynamic_name_needs_a_pinned_key_in_strict_mode(Config) ->
    #{node := NodeA} = A = start(cluster(Config), alpha, #{config => [?STRICT]}),
    Nobody = start(cluster(Config), undefined, #{}),
    false = dial(Nobody, NodeA),
    {unknown_key, _} = on(Nobody, fun() -> barrel_p2p:last_error(NodeA) end),
    [] = pins(A),
    Key = own_key(Nobody),
    ok = on(A, fun() -> barrel_p2p_dist_keys:store_key('operator@laptop', Key) end),
    Pins = pins(A),
    true = dial(Nobody, NodeA),
    %% A given name is lent, not owned: it is never pinned.
    Pins = pins(A).

%% The first packet of OTP's handshake carries a name of its own. It counts only if it is the one that the hello has proved.
dist_handshake_keeps_the_name_of_the_hello(Config) ->
    [#{node := NodeA} = A, #{node := NodeB} = B] = [start(cluster(Config), Name, #{}) || Name <- [alpha, beta]],
    Open = fun(Name) ->
               on(A, fun() ->
                         {ok, Socket} = barrel_p2p_dist_ctrl:connect(NodeB, 5_000),
                         Packet = [<<$N, 0:64, 17:32, (byte_size(Name)):16>>, Name],
                         ok = barrel_p2p_dist_ctrl:send(Socket, Packet),
                         barrel_p2p_dist_ctrl:recv(Socket, 0, 5_000)
                     end)
           end,
    Foreign = <<"gamma_of_nobody@127.0.0.1">>,
    {error, closed} = Open(Foreign),
    false = knows_atom(B, Foreign),
    %% The right name gets an answer (a refusal by OTP, since the packet offers no features).
    {ok, "s" ++ _} = Open(atom_to_binary(NodeA)).

%% Whatever names knock, the table of atoms does not grow. The first one warms up the code.
refusals_make_no_atoms(Config) ->
    #{node := NodeA} = A = start(cluster(Config), alpha, #{}),
    Knock = fun(Names) ->
                [begin
                     P = start(cluster(Config), list_to_atom(Name), #{cookie => "another"}),
                     false = dial(P, NodeA),
                     ok = barrel_p2p_test:kill(P)
                 end || Name <- Names]
            end,
    Atoms = fun() -> on(A, fun() -> erlang:system_info(atom_count) end) end,
    _ = Atoms(),
    _ = Knock(["stranger_1"]),
    ok = logged(A, wrong_cookie),
    Before = Atoms(),
    _ = Knock(["stranger_2", "stranger_3", "stranger_4"]),
    [] = on(A, fun() -> [atom_number(N) || N <- lists:seq(Before, erlang:system_info(atom_count) - 1)] end).

%% The emulator's own form of an atom in external format, valid within one node: how to name the ones that are too many.
atom_number(N) ->
    binary_to_term(<<131, $K, N:24>>).
