%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist_keys_tests).
-moduledoc """
Pins, identity and rotation over the real native library, in a directory of their own and without distribution.
""".
-include_lib("eunit/include/eunit.hrl").
-include("barrel_p2p.hrl").

-define(KEY, <<1:256>>).
-define(OTHER, <<2:256>>).

pins_are_stored_looked_up_and_deleted_test() ->
    in_directory([], fun(Directory) ->
        ?assertEqual({not_pinned, {error, not_found}}, {barrel_p2p_dist_keys:lookup_pin('a@h'), barrel_p2p_dist_keys:lookup_key('a@h')}),
        ?assertEqual(ok, barrel_p2p_dist_keys:store_key('a@h', ?KEY)),
        ?assertEqual({{pinned, ?KEY}, {ok, ?KEY}}, {barrel_p2p_dist_keys:lookup_pin(<<"a@h">>), barrel_p2p_dist_keys:lookup_key('a@h')}),
        ?assertEqual({ok, ?KEY}, file:read_file(filename:join(Directory, "keys/trusted/a@h.pub"))),
        ?assertEqual([true, false], [barrel_p2p_dist_keys:is_trusted('a@h', Key) || Key <- [?KEY, ?OTHER]]),
        ?assertEqual(ok, barrel_p2p_dist_keys:store_key('a@h', ?OTHER)),
        ?assertEqual({ok, ?OTHER}, barrel_p2p_dist_keys:lookup_key('a@h')),
        ?assertEqual([ok, ok], [barrel_p2p_dist_keys:delete_key('a@h') || _ <- [1, 2]]),
        ?assertEqual(not_pinned, barrel_p2p_dist_keys:lookup_pin('a@h'))
    end).

pin_is_not_replaced_unasked_test() ->
    in_directory([], fun(_) ->
        ?assertEqual([ok, ok, {error, key_mismatch}], [barrel_p2p_dist_keys:store_key_if_new('a@h', Key) || Key <- [?KEY, ?KEY, ?OTHER]]),
        ?assertEqual({ok, ?KEY}, barrel_p2p_dist_keys:lookup_key('a@h'))
    end).

keys_have_32_bytes_and_names_a_form_test() ->
    in_directory([], fun(_) ->
        ?assertEqual({error, invalid_key_size}, barrel_p2p_dist_keys:store_key('a@h', <<1:248>>)),
        ?assertEqual({error, invalid_key_size}, barrel_p2p_dist_keys:store_key_if_new('a@h', <<>>)),
        ?assertMatch({error, {invalid_name, _}}, barrel_p2p_dist_keys:store_key('../a@h', ?KEY)),
        ?assertError(function_clause, barrel_p2p_dist_keys:fingerprint(<<1:248>>))
    end).

trusted_keys_are_listed_as_documented_records_test() ->
    in_directory([], fun(_) ->
        ok = barrel_p2p_dist_keys:store_key('a@h', ?KEY),
        ok = barrel_p2p_dist_keys:store_key_if_new('b@h', ?OTHER),
        [A, B] = lists:sort(barrel_p2p_dist_keys:list_trusted()),
        Digest = crypto:hash(sha256, ?KEY),
        ?assertMatch(#peer_key{node = 'a@h', fingerprint = Digest, public_key = ?KEY, trust_level = permanent}, A),
        ?assertMatch({peer_key, 'b@h', _, ?OTHER, _, _, tofu}, B),
        ?assert(abs(erlang:system_time(millisecond) - A#peer_key.added_at) < 60000)
    end).

trust_mode_changes_at_once_test() ->
    in_directory([{auth_trust_mode, strict}], fun(_) ->
        ?assertEqual(strict, barrel_p2p_dist_keys:get_trust_mode()),
        ok = barrel_p2p_dist_keys:set_trust_mode(tofu),
        ?assertMatch(#{trust_mode := tofu}, barrel_p2p:info())
    end).

cookie_only_nodes_match_by_whole_parts_test() ->
    in_directory([{cookie_only_nodes, ['probe@*', '*@tools']}], fun(_) ->
        ?assertEqual([true, true, true, false, false],
                     [barrel_p2p_dist_auth:is_cookie_only_allowed(Node)
                      || Node <- ['probe@h', <<"probe@any.where">>, <<"x@tools">>, 'probe2@h', <<"nonsense">>]])
    end).

key_pair_is_made_once_test() ->
    in_directory([], fun(Directory) ->
        ok = barrel_p2p_dist_auth:ensure_keypair(),
        {ok, Key} = barrel_p2p_dist_auth:get_public_key(),
        ?assertEqual({ok, Key}, file:read_file(filename:join(Directory, "keys/node.pub"))),
        ok = barrel_p2p_dist_auth:init(),
        ?assertEqual({ok, Key}, barrel_p2p_dist_auth:get_public_key())
    end).

unusable_directory_is_a_readable_error_test() ->
    in_directory([{auth_key_dir, "/proc/nowhere"}], fun(_) ->
        ?assertMatch({error, {dir_unwritable, <<"/proc/nowhere", _/binary>>}}, barrel_p2p_dist_auth:ensure_keypair()),
        ?assertError({barrel_p2p, "a directory cannot be made or written (/proc/nowhere" ++ _}, barrel_p2p_dist_keys:list_trusted()),
        ?assertNot(barrel_p2p_dist_auth:is_cookie_only_allowed('a@h')),
        ?assertMatch({error, {dir_unwritable, _}}, barrel_p2p_rotate:rotate_identity())
    end).

identity_follows_the_configuration_test() ->
    in_directory([], fun(_) ->
        {ok, Key} = barrel_p2p_dist_auth:get_public_key(),
        in_directory([], fun(_) -> ?assertNotEqual({ok, Key}, barrel_p2p_dist_auth:get_public_key()) end)
    end).

%% Two of them in one second must not share a backup directory.
rotations_keep_every_old_key_test() ->
    in_directory([], fun(Directory) ->
        {ok, First} = barrel_p2p_dist_auth:get_public_key(),
        {ok, #{backup_dir := Backup1, cert_file := Pub, key_file := Secret, restart_required := false}} = barrel_p2p_rotate:rotate_identity(),
        {ok, Second} = barrel_p2p_dist_auth:get_public_key(),
        {ok, #{backup_dir := Backup2}} = barrel_p2p_rotate:rotate_identity(#{}),
        {ok, Third} = barrel_p2p_dist_auth:get_public_key(),
        ?assertEqual({ok, Third}, file:read_file(Pub)),
        ?assertEqual(filename:join(Directory, "keys/node.key"), Secret),
        ?assertEqual([{ok, First}, {ok, Second}], [file:read_file(filename:join(Backup, "node.pub")) || Backup <- [Backup1, Backup2]]),
        ?assertEqual(match, re:run(filename:basename(Backup1), "^\\d{8}T\\d{6}Z$", [{capture, none}]))
    end).

certificate_is_replaced_and_kept_test() ->
    in_directory([], fun(Directory) ->
        ok = barrel_p2p_dist_auth:ensure_keypair(),
        {ok, Old} = file:read_file(filename:join(Directory, "quic/node.crt")),
        {ok, #{backup_dir := Backup, cert_file := File, restart_required := false}} = barrel_p2p_rotate:rotate_cert(),
        {ok, New} = file:read_file(File),
        ?assertNotEqual(Old, New),
        ?assertEqual({ok, Old}, file:read_file(filename:join(Backup, "node.crt")))
    end).

other_directories_can_be_rotated_test() ->
    in_directory([], fun(Directory) ->
        {ok, Key} = barrel_p2p_dist_auth:get_public_key(),
        Other = filename:join(Directory, "other"),
        {ok, #{cert_file := Pub, backup_dir := Backup}} = barrel_p2p_rotate:rotate_identity(#{key_dir => Other}),
        ?assertEqual(filename:join(Other, "node.pub"), Pub),
        ?assertEqual(Other, filename:dirname(filename:dirname(Backup))),
        ?assertEqual({ok, Key}, barrel_p2p_dist_auth:get_public_key()),
        {ok, #{cert_file := Certificate}} = barrel_p2p_rotate:rotate_cert(#{cert_dir => list_to_binary(Other ++ "2")}),
        ?assertEqual(Other ++ "2/node.crt", Certificate)
    end).

in_directory(Env, Test) ->
    Base = case os:getenv("TMPDIR") of false -> "/tmp"; Dir -> Dir end,
    Directory = filename:join(Base, lists:concat(["barrel_p2p_dist_keys_tests.", os:getpid(), ".", erlang:unique_integer([positive])])),
    Env0 = [{auth_key_dir, filename:join(Directory, "keys")}, {quic_cert_dir, filename:join(Directory, "quic")}],
    try
        config_fixture:with(Env0 ++ Env, fun() -> Test(Directory) end)
    after
        file:del_dir_r(Directory)
    end.
