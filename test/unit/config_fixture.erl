%% SPDX-License-Identifier: Apache-2.0
-module(config_fixture).
-moduledoc """
Runs unit tests under a configuration of their own, given as application environment.
""".

-export([load/1, reset/0, with/2]).

-spec load([{atom(), term()}]) -> ok.
load(Env) ->
    _ = application:unload(barrel_p2p),
    ok = application:load(barrel_p2p),
    lists:foreach(fun({Key, Value}) -> ok = application:set_env(barrel_p2p, Key, Value) end, Env),
    ok = barrel_p2p_config:load().

-spec reset() -> ok.
reset() ->
    load([]).

-spec with([{atom(), term()}], fun(() -> Result)) -> Result.
with(Env, Test) ->
    ok = load(Env),
    try Test() after reset() end.
