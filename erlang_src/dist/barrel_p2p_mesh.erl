%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_mesh).
-moduledoc """
No accidental mesh: keeps `global` from connecting every node with every other.

By default OTP's `global` turns each new connection into a full mesh, and when a link of that mesh is lost it cuts further links on purpose.
A cluster that opens only the channels its application uses wants neither. `-connect_all true` (or the `kernel` key set to true) keeps OTP's
behaviour; anything else means off.
""".

-export([prevent/0]).

-define(ANSWER_MS, 5000).

%% Runs in listen, when global has read its configuration already: setting the key alone would come too late.
-spec prevent() -> ok | {error, [1..255, ...]}.
prevent() ->
    case is_wanted() of
        true ->
            ok;
        false ->
            application:set_env(kernel, connect_all, false),
            case whereis(global_name_server) of
                undefined -> ok;
                Server -> switch_off(Server)
            end
    end.

%% `global` writes its own decision under the same key before this runs, so the application environment cannot tell who wanted it. What the
%% user wrote can: flags and configuration files.
-spec is_wanted() -> boolean().
is_wanted() ->
    init:get_argument(connect_all) =:= {ok, [["true"]]} orelse lists:any(fun is_wanted_in/1, init:get_arguments()).

-spec is_wanted_in({atom(), [string()]}) -> boolean().
is_wanted_in({kernel, ["connect_all", "true" | _]}) -> true;
is_wanted_in({kernel, [_, _ | Rest]}) -> is_wanted_in({kernel, Rest});
is_wanted_in({config, Files}) -> lists:any(fun is_wanted_by_file/1, Files);
is_wanted_in(_) -> false.

%% What cannot be read now (OTP has read it when it booted) counts as silence.
-spec is_wanted_by_file(file:filename()) -> boolean().
is_wanted_by_file(File) ->
    case erl_prim_loader:get_file(filename:rootname(File, ".config") ++ ".config") of
        {ok, Bytes, _} ->
            {ok, Tokens, _} = erl_scan:string(unicode:characters_to_list(Bytes)),
            {ok, Environment} = erl_parse:parse_term(Tokens),
            lists:member({connect_all, true}, proplists:get_value(kernel, Environment, []));
        error ->
            false
    end.

%% `prepare_shutdown` is how OTP itself stops global from keeping a mesh while distribution goes down; it means just that and has no end.
%% It is no public interface, so the effect is verified.
-spec switch_off(pid()) -> ok | {error, [1..255, ...]}.
switch_off(Server) ->
    Ref = monitor(process, Server),
    Server ! {prepare_shutdown, self(), Ref},
    receive
        {Ref, ok} -> ok;
        {'DOWN', Ref, _, _, _} -> ok
    after ?ANSWER_MS -> ok
    end,
    demonitor(Ref, [flush]),
    case element(2, global:info()) of
        {conf, false, _} -> ok;
        _ -> {error, "this OTP release keeps connecting every node with every other; start the node with -connect_all false, or with "
                     "-connect_all true if that is wanted"}
    end.
