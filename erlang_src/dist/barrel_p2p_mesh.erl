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

-spec is_wanted() -> boolean().
is_wanted() ->
    init:get_argument(connect_all) =:= {ok, [["true"]]} orelse application:get_env(kernel, connect_all) =:= {ok, true}.

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
