%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_global).
-moduledoc """
Services under OTP's `global` names, for code that speaks to `{global, Name}`.

A service of another node is registered as its proxy. `global` watches whom it has registered, so the name goes with the process, however it ends.
Without `-connect_all true` global names are those of this node alone.
""".

-export([register/1]).

%% Under the name of the service.
-spec register(Name :: term()) -> {ok, pid()} | {error, already_registered | not_found}.
register(Name) ->
    case barrel_p2p_registry:whereis_service(Name) of
        {ok, Pid} ->
            registered(Name, Pid);
        {ok, Node, _} ->
            case barrel_p2p_registry:ensure_proxy(Name, Node) of
                {ok, Proxy} -> registered(Name, Proxy);
                {error, not_found} -> {error, not_found}
            end;
        {error, not_found} ->
            {error, not_found}
    end.

-spec registered(Name :: term(), pid()) -> {ok, pid()} | {error, already_registered}.
registered(Name, Pid) ->
    case global:register_name(Name, Pid) of
        yes -> {ok, Pid};
        no -> {error, already_registered}
    end.
