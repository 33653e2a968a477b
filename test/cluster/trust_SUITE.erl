%% SPDX-License-Identifier: Apache-2.0
-module(trust_SUITE).
-moduledoc """
How trust is changed while nodes run: the mode, patterns that need no pin, authentication switched off, new identities and certificates.
""".

-export([all/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([trust_mode_changes_at_once/1, cookie_only_pattern_skips_the_pin_and_nothing_else/1, disabled_authentication_keeps_the_cookie/1,
         authentication_must_be_on_at_both_ends_or_at_none/1, rotated_identity_is_accepted_by_peers/1, rotation_survives_a_restart/1,
         rotation_can_be_switched_off/1, rotated_certificate_needs_no_restart/1, first_contact_pins_both_ways/1,
         forgotten_pin_admits_a_new_key/1]).

-import(barrel_p2p_test, [on/2, connect/2, connected/2, disconnect/2, start/3]).
-import(barrel_p2p_test_trust, [refused/3, pins/1, dial/2]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [first_contact_pins_both_ways, trust_mode_changes_at_once, cookie_only_pattern_skips_the_pin_and_nothing_else,
     disabled_authentication_keeps_the_cookie, authentication_must_be_on_at_both_ends_or_at_none,
     rotated_identity_is_accepted_by_peers, rotation_survives_a_restart, rotation_can_be_switched_off,
     rotated_certificate_needs_no_restart, forgotten_pin_admits_a_new_key].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(cluster(Config)).

cluster(Config) ->
    proplists:get_value(cluster, Config).

%% The pin of each holds the key of the other, on disk and in the answer of the documented function.
first_contact_pins_both_ways(Config) ->
    [A, B] = [start(cluster(Config), Name, #{}) || Name <- [alpha, beta]],
    ok = connect(A, B),
    [begin
         Key = own_key(Other),
         [{File, Key}] = pins(P),
         File = atom_to_list(Node) ++ ".pub",
         {ok, Key} = on(P, fun() -> barrel_p2p_dist_keys:lookup_key(Node) end)
     end || {P, #{node := Node} = Other} <- [{A, B}, {B, A}]],
    ok.

own_key(P) ->
    {ok, Key} = on(P, fun() -> barrel_p2p_dist_auth:get_public_key() end),
    Key.

trust_mode_changes_at_once(Config) ->
    A = start(cluster(Config), alpha, #{}),
    B = start(cluster(Config), beta, #{}),
    ok = on(A, fun() -> barrel_p2p_dist_keys:set_trust_mode(strict) end),
    strict = on(A, fun() -> barrel_p2p_dist_keys:get_trust_mode() end),
    ok = refused(B, A, unknown_key),
    ok = on(A, fun() -> barrel_p2p_dist_keys:set_trust_mode(tofu) end),
    ok = connect(B, A).

cookie_only_pattern_skips_the_pin_and_nothing_else(Config) ->
    A = start(cluster(Config), alpha, #{config => [{auth_trust_mode, strict}, {cookie_only_nodes, ['tool@*', '*@otherhost']}]}),
    Tool = start(cluster(Config), tool, #{}),
    ok = connect(Tool, A),
    [] = pins(A),
    ok = barrel_p2p_test:kill(Tool),
    %% No pin, so another key under that name is as good.
    OtherTool = start(cluster(Config), tool, #{data => "other_tool"}),
    ok = connect(OtherTool, A),
    ok = barrel_p2p_test:kill(OtherTool),
    ok = barrel_p2p_test:wait_until(gone, fun() -> on(A, fun() -> nodes(connected) end) =:= [] end, 6_000),
    ok = refused(start(cluster(Config), tool, #{data => "third_tool", cookie => "another"}), A, wrong_cookie),
    ok = refused(start(cluster(Config), toolbox, #{}), A, unknown_key).

disabled_authentication_keeps_the_cookie(Config) ->
    Off = #{config => [{auth_enabled, false}]},
    A = start(cluster(Config), alpha, Off),
    B = start(cluster(Config), beta, Off),
    ok = connect(A, B),
    {[], []} = {pins(A), pins(B)},
    ok = unlink_nodes(A, B),
    ok = refused(start(cluster(Config), mallory, Off#{cookie => "another"}), A, wrong_cookie).

authentication_must_be_on_at_both_ends_or_at_none(Config) ->
    A = start(cluster(Config), alpha, #{}),
    B = start(cluster(Config), beta, #{config => [{auth_enabled, false}]}),
    ok = refused(B, A, auth_mismatch),
    ok = refused(A, B, auth_mismatch).

rotated_identity_is_accepted_by_peers(Config) ->
    {A, B} = rotated(Config, #{}),
    ok = unlink_nodes(A, B),
    ok = connect(B, A),
    New = own_key(B),
    [{_, New}] = pins(A),
    %% And from the other side: the dialler follows the rotation too.
    {ok, _} = on(A, fun() -> barrel_p2p_rotate:rotate_identity() end),
    ok = unlink_nodes(A, B),
    ok = connect(B, A),
    NewA = own_key(A),
    [{_, NewA}] = pins(B).

rotation_survives_a_restart(Config) ->
    {A, B} = rotated(Config, #{}),
    Key = own_key(B),
    ok = barrel_p2p_test:kill(B),
    Again = start(cluster(Config), beta, #{}),
    Key = own_key(Again),
    ok = connect(Again, A),
    [{_, Key}] = pins(A).

rotation_can_be_switched_off(Config) ->
    {A, B} = rotated(Config, #{config => [{auth_accept_rotation, false}]}),
    Pins = pins(A),
    ok = unlink_nodes(A, B),
    ok = refused(B, A, key_mismatch),
    Pins = pins(A).

%% Two nodes that have pinned each other, of which the second has a new identity. Rotation cuts nothing.
rotated(Config, Options) ->
    A = start(cluster(Config), alpha, Options),
    B = start(cluster(Config), beta, #{}),
    ok = connect(B, A),
    Old = own_key(B),
    [{_, Old}] = pins(A),
    {ok, #{backup_dir := Backup}} = on(B, fun() -> barrel_p2p_rotate:rotate_identity() end),
    true = own_key(B) =/= Old,
    {ok, Old} = file:read_file(filename:join(Backup, "node.pub")),
    true = connected(A, B),
    {A, B}.

rotated_certificate_needs_no_restart(Config) ->
    #{dir := Dir} = A = start(cluster(Config), alpha, #{}),
    B = start(cluster(Config), beta, #{}),
    ok = connect(B, A),
    File = filename:join([Dir, "quic", "node.crt"]),
    {ok, Old} = file:read_file(File),
    {ok, #{restart_required := false, backup_dir := Backup}} = on(A, fun() -> barrel_p2p_rotate:rotate_cert() end),
    {ok, New} = file:read_file(File),
    true = New =/= Old,
    {ok, Old} = file:read_file(filename:join(Backup, "node.crt")),
    true = connected(A, B),
    [begin ok = unlink_nodes(A, B), ok = connect(From, To) end || {From, To} <- [{B, A}, {A, B}]],
    ok.

%% A link outlives its last channel for a moment, and whoever uses it again has no need of a hello. Returns when it is gone.
unlink_nodes(A, B) ->
    ok = disconnect(A, B),
    barrel_p2p_test:wait_until(unlinked, fun() -> [[], []] =:= [on(P, fun() -> maps:get(links, barrel_p2p:info()) end) || P <- [A, B]] end, 5_000).

%% What an operator does after a node was set up anew: forget the old pin on the nodes that hold it.
forgotten_pin_admits_a_new_key(Config) ->
    A = start(cluster(Config), alpha, #{}),
    #{node := Node} = B = start(cluster(Config), beta, #{}),
    ok = connect(B, A),
    ok = barrel_p2p_test:kill(B),
    New = start(cluster(Config), beta, #{data => "new_beta"}),
    false = dial(New, maps:get(node, A)),
    ok = on(A, fun() -> barrel_p2p_dist_keys:delete_key(Node) end),
    [] = pins(A),
    ok = connect(New, A),
    Key = own_key(New),
    [{_, Key}] = pins(A).
