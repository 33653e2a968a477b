%% SPDX-License-Identifier: Apache-2.0
-module(boot_SUITE).
-moduledoc """
A node boots in every mode OTP has, and when it cannot, it says so in one readable line, ends with a status that is not zero, leaves no
crash dump and never hangs.
""".

-export([all/0, groups/0, suite/0, init_per_testcase/2, end_per_testcase/2]).
-export([interactive_node_boots/1, release_boots_in_embedded_mode/1, boot_script_boots_in_embedded_mode/1, flags_win_over_keys/1,
         application_starts_without_distribution/1, failed_start_at_run_time_can_be_tried_again/1]).
-export([missing_library_is_named/1, library_of_another_machine_is_named/1, library_that_is_none_is_named/1, port_in_use_is_named/1,
         unwritable_key_directory_is_named/1, unwritable_certificate_directory_is_named/1, corrupt_key_file_is_named/1,
         half_a_key_pair_is_named/1, mismatched_key_pair_is_named/1, corrupt_certificate_is_named/1, unknown_key_is_named/1,
         wrong_type_is_named/1, contradicting_values_are_named/1, wrong_port_flag_is_named/1]).

-import(barrel_p2p_test, [on/2, connect/2, start/2, start/3]).

suite() ->
    [{timetrap, {minutes, 2}}].

all() ->
    [{group, boots}, {group, fails}].

groups() ->
    [{boots, [], [interactive_node_boots, release_boots_in_embedded_mode, boot_script_boots_in_embedded_mode, flags_win_over_keys,
                  application_starts_without_distribution, failed_start_at_run_time_can_be_tried_again]},
     {fails, [], [missing_library_is_named, library_of_another_machine_is_named, library_that_is_none_is_named, port_in_use_is_named,
                  unwritable_key_directory_is_named, unwritable_certificate_directory_is_named, corrupt_key_file_is_named,
                  half_a_key_pair_is_named, mismatched_key_pair_is_named, corrupt_certificate_is_named, unknown_key_is_named,
                  wrong_type_is_named, contradicting_values_are_named, wrong_port_flag_is_named]}].

init_per_testcase(_Case, Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> [{cluster, barrel_p2p_test:cluster(Config)} | Config];
        Skip -> Skip
    end.

end_per_testcase(_Case, Config) ->
    barrel_p2p_test:stop(cluster(Config)).

cluster(Config) ->
    proplists:get_value(cluster, Config).

%% Boots.

interactive_node_boots(Config) ->
    #{node := Node} = start(cluster(Config), alpha),
    Arguments = barrel_p2p_test:arguments(cluster(Config), visitor, #{}) ++ visit(Node),
    ok = visited(barrel_p2p_test_boot:erl(Arguments, environment(Config, "visitor"))).

%% A release as systools makes it: nothing but its own files, everything loaded at boot.
release_boots_in_embedded_mode(Config) ->
    #{node := Node} = start(cluster(Config), alpha),
    Release = filename:join(maps:get(dir, cluster(Config)), "release"),
    {Erts, Boot} = unpack_release(Release),
    [_Pa, _Path | Arguments] = barrel_p2p_test:arguments(cluster(Config), visitor, #{paths => ["none"]}),
    ok = visited(barrel_p2p_test_boot:program(filename:join([Erts, "bin", "erlexec"]),
                                              ["-noshell", "-noinput", "-boot", Boot, "-mode", "embedded" | Arguments] ++ visit(Node),
                                              [{"ROOTDIR", Release}, {"BINDIR", filename:join(Erts, "bin")}, {"EMU", "beam"}, {"PROGNAME", "erl"}
                                               | environment(Config, "visitor")])).

boot_script_boots_in_embedded_mode(Config) ->
    #{node := Node} = start(cluster(Config), alpha),
    Dir = filename:join(maps:get(dir, cluster(Config)), "script"),
    {_, Boot} = boot_script(Dir, [local]),
    [_Pa, _Path | Arguments] = barrel_p2p_test:arguments(cluster(Config), visitor, #{paths => ["none"]}),
    ok = visited(barrel_p2p_test_boot:erl(["-boot", Boot, "-mode", "embedded" | Arguments] ++ visit(Node), environment(Config, "visitor"))).

%% The node connects to another one, starts the application, and tells.
visit(Node) ->
    Visit = io_lib:format("true = net_kernel:connect_node(~p), {ok, _} = application:ensure_all_started(barrel_p2p), "
                          "~p = rpc:call(~p, erlang, node, []), io:format(\"visited ~~s~~n\", [node()]), init:stop()", [Node, Node, Node]),
    ["-eval", lists:flatten(Visit)].

visited({0, Output}) ->
    {_, _} = binary:match(Output, <<"visited visitor@127.0.0.1">>),
    ok;
visited(Failed) ->
    Failed.

boot_script(Dir, Options) ->
    ok = filelib:ensure_path(Dir),
    Versions = [{Application, version(Application)} || Application <- [kernel, stdlib, crypto, asn1, public_key, sasl, barrel_p2p]],
    Release = {release, {"suite", "1"}, {erts, erlang:system_info(version)}, Versions},
    Name = filename:join(Dir, "suite"),
    ok = file:write_file(Name ++ ".rel", io_lib:format("~p.~n", [Release])),
    {ok, _, _} = systools:make_script(Name, [silent, {outdir, Dir}, no_warn_sasl | Options]),
    {Name, Name}.

version(Application) ->
    _ = application:load(Application),
    {ok, Version} = application:get_key(Application, vsn),
    Version.

unpack_release(Root) ->
    {Name, _} = boot_script(filename:join(Root, "build"), []),
    ok = systools:make_tar(Name, [{outdir, Root}, {erts, code:root_dir()}, silent]) =:= ok orelse ok,
    ok = erl_tar:extract(filename:join(Root, "suite.tar.gz"), [compressed, {cwd, Root}]),
    {filename:join(Root, "erts-" ++ erlang:system_info(version)), filename:join([Root, "releases", "1", "start"])}.

flags_win_over_keys(Config) ->
    Port = barrel_p2p_test:free_port(),
    Dir = filename:join(maps:get(dir, cluster(Config)), "other_certificates"),
    _ = start(cluster(Config), alpha, #{port => barrel_p2p_test:free_port(),
                                        args => ["-barrel_p2p_dist_port", integer_to_list(Port), "-barrel_p2p_dist_cert_dir", Dir]}),
    {_, Port} = barrel_p2p_test:published(cluster(Config), 'alpha@127.0.0.1'),
    true = filelib:is_regular(filename:join(Dir, "node.crt")).

application_starts_without_distribution(Config) ->
    P = start(cluster(Config), none, #{data => "alone"}),
    {ok, _} = on(P, fun() -> application:ensure_all_started(barrel_p2p) end),
    #{node := nonode@nohost, port := undefined} = on(P, fun() -> barrel_p2p:info() end),
    ok = on(P, fun() -> application:stop(barrel_p2p) end).

failed_start_at_run_time_can_be_tried_again(Config) ->
    A = start(cluster(Config), alpha),
    Port = barrel_p2p_test:free_port(),
    P = start(cluster(Config), none, #{data => "late", port => Port}),
    Start = fun() -> net_kernel:start('late@127.0.0.1', #{name_domain => longnames}) end,
    {ok, Holder} = gen_udp:open(Port, []),
    {error, _} = on(P, Start),
    nonode@nohost = on(P, fun() -> node() end),
    ok = gen_udp:close(Holder),
    {ok, _} = on(P, Start),
    ok = connect(P#{node := 'late@127.0.0.1'}, A).

%% Fails. Each case gives the words that the line must have: what is wrong, and with what.

missing_library_is_named(Config) ->
    {Paths, Library} = broken_library(Config),
    ok = file:delete(Library),
    fails(Config, #{paths => Paths}, ["native library", Library, "No such file"]).

library_that_is_none_is_named(Config) ->
    {Paths, Library} = broken_library(Config),
    ok = file:write_file(Library, <<"this is not a library\n">>),
    fails(Config, #{paths => Paths}, ["native library", Library]).

%% The machine field of the ELF header says another one.
library_of_another_machine_is_named(Config) ->
    {Paths, Library} = broken_library(Config),
    {ok, <<Head:18/binary, _Machine:16, Rest/binary>>} = file:read_file(Library),
    ok = file:write_file(Library, [Head, <<16#F3, 0>>, Rest]),
    fails(Config, #{paths => Paths}, ["native library", Library]).

broken_library(Config) ->
    Ebin = barrel_p2p_test_boot:library(maps:get(dir, cluster(Config))),
    {[Ebin], filename:join([filename:dirname(Ebin), "priv", "barrel_p2p_nif.so"])}.

port_in_use_is_named(Config) ->
    {ok, Holder} = gen_udp:open(0, []),
    {ok, Port} = inet:port(Holder),
    fails(Config, #{port => Port}, ["in use", integer_to_list(Port)]),
    ok = gen_udp:close(Holder).

%% The user of the suite may be root, whom no mode keeps out: a folder below a regular file is beyond everyone.
unwritable_key_directory_is_named(Config) ->
    unwritable(Config, auth_key_dir).

unwritable_certificate_directory_is_named(Config) ->
    unwritable(Config, quic_cert_dir).

unwritable(Config, Key) ->
    File = filename:join(maps:get(dir, cluster(Config)), "file"),
    ok = file:write_file(File, <<>>),
    Dir = filename:join(File, "below"),
    fails(Config, #{config => [{Key, Dir}]}, [File]).

corrupt_key_file_is_named(Config) ->
    File = key_file(Config, "node.key"),
    ok = file:write_file(File, <<"short">>),
    fails(Config, #{}, [File]).

%% A public key alone is no identity; a private key alone is, and gets its public half back.
half_a_key_pair_is_named(Config) ->
    [Private, Public] = [key_file(Config, Name) || Name <- ["node.key", "node.pub"]],
    {ok, Key} = file:read_file(Public),
    ok = file:delete(Public),
    ok = barrel_p2p_test:kill(start(cluster(Config), failing)),
    {ok, Key} = file:read_file(Public),
    ok = file:delete(Private),
    fails(Config, #{}, [Private]).

mismatched_key_pair_is_named(Config) ->
    ok = file:write_file(key_file(Config, "node.pub"), binary:copy(<<1>>, 32)),
    fails(Config, #{}, ["do not belong together", filename:dirname(key_file(Config, "node.key"))]).

corrupt_certificate_is_named(Config) ->
    _ = key_file(Config, "node.key"),
    File = filename:join([maps:get(dir, cluster(Config)), "failing", "quic", "node.crt"]),
    ok = file:write_file(File, <<"no certificate">>),
    fails(Config, #{}, ["certificate", filename:dirname(File)]).

%% A file in the key folder of the node that is to fail, made by its first, good start.
key_file(Config, Name) ->
    File = filename:join([maps:get(dir, cluster(Config)), "failing", "keys", Name]),
    filelib:is_regular(File) orelse barrel_p2p_test:kill(start(cluster(Config), failing)),
    File.

unknown_key_is_named(Config) ->
    fails(Config, #{config => [{auth_trust_modus, strict}]}, ["auth_trust_modus", "auth_trust_mode"]).

wrong_type_is_named(Config) ->
    fails(Config, #{config => [{auth_trust_mode, loose}]}, ["auth_trust_mode", "loose", "tofu"]),
    fails(Config, #{config => [{link_keepalive_ms, fast}]}, ["link_keepalive_ms", "fast", "integer"]),
    fails(Config, #{config => [{discovery_nodes, [{'a@b', nowhere}]}]}, ["discovery_nodes", "nowhere"]).

contradicting_values_are_named(Config) ->
    fails(Config, #{config => [{link_keepalive_ms, 3_000}]}, ["link_idle_timeout_ms", "link_keepalive_ms"]).

wrong_port_flag_is_named(Config) ->
    fails(Config, #{args => ["-barrel_p2p_dist_port", "many"]}, ["-barrel_p2p_dist_port", "many"]).

%% The node does not start; one line has all the words; nobody has to read a dump or a stack.
fails(Config, Options, Words) ->
    Arguments = barrel_p2p_test:arguments(cluster(Config), failing, Options),
    Environment = environment(Config, "failing"),
    {Status, Output} = barrel_p2p_test_boot:erl(Arguments, Environment),
    true = Status > 0,
    Lines = binary:split(Output, <<"\n">>, [global]),
    {_, [_ | _]} = {Words, [Line || Line <- Lines, lists:all(fun(Word) -> binary:match(Line, list_to_binary(Word)) =/= nomatch end, Words)]},
    [nomatch, nomatch] = [binary:match(Output, Sign) || Sign <- [<<"rash dump">>, <<"init terminating in do_boot">>]],
    {"ERL_CRASH_DUMP", Dump} = lists:keyfind("ERL_CRASH_DUMP", 1, Environment),
    false = filelib:is_file(Dump),
    ok.

environment(Config, Data) ->
    barrel_p2p_test:boot_environment(cluster(Config), filename:join(maps:get(dir, cluster(Config)), Data)).
