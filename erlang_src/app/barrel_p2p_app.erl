%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_app).
-moduledoc """
Start and stop of the application.

The carrier is up long before: what is left to do here is to refuse a node that does not run over it, and what needs the rest of OTP. The
application also starts on `nonode@nohost`.
""".

-behaviour(application).
-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, {barrel_p2p, Line :: string()} | term()}.
start(_Type, _Args) ->
    case ready() of
        ok ->
            warn(),
            barrel_p2p_sup:start_link();
        {error, Text} ->
            barrel_p2p_log:report(error, #{event => start_refused, text => Text}),
            {error, {barrel_p2p, Text}}
    end.

%% The node goes on listening when only the application stops, so it stays registered; it does not when the whole system stops.
-spec stop(term()) -> ok.
stop(_State) ->
    case {init:get_status(), barrel_p2p_native:endpoint()} of
        {{stopping, _}, {ok, _}} -> barrel_p2p_discovery:unregister(node());
        _ -> ok
    end.

-spec ready() -> ok | {error, string()}.
ready() ->
    case barrel_p2p_guard:check() of
        ok ->
            case configured(erlang:is_alive()) of
                ok -> loaded();
                {error, Text} -> {error, Text}
            end;
        {error, Text} ->
            {error, Text}
    end.

%% Without distribution nobody has loaded the native core yet, and the clock is in it.
-spec loaded() -> ok | {error, string()}.
loaded() ->
    case barrel_p2p_native:load() of
        ok -> ok;
        {error, Error} -> {error, barrel_p2p_native:format_error(Error)}
    end.

-spec configured(Alive :: boolean()) -> ok | {error, string()}.
configured(false) ->
    barrel_p2p_config:load();
configured(true) ->
    case barrel_p2p_config:reload() of
        {ok, TooLate} ->
            _ = [barrel_p2p_log:report(warning, #{event => values_too_late, keys => TooLate}) || TooLate =/= []],
            set_cookie(barrel_p2p_config:get(dist_cookie)),
            register_node(persistent_term:get({barrel_p2p_dist, listening}, none));
        {error, Text} ->
            {error, Text}
    end.

-spec set_cookie(atom()) -> ok.
set_cookie(undefined) ->
    ok;
set_cookie(Cookie) ->
    true = erlang:set_cookie(node(), Cookie),
    ok.

%% Backends of the application could not run while distribution started, and the directory of the file backend may be another one now.
-spec register_node(inet:port_number() | none) -> ok.
register_node(none) -> ok;
register_node(Port) -> barrel_p2p_discovery:register(node(), Port).

-spec warn() -> ok.
warn() ->
    _ = [barrel_p2p_log:report(warning, #{event => default_cookie}) || erlang:get_cookie() =:= barrel_p2p],
    _ = [barrel_p2p_log:report(warning, #{event => auth_disabled}) || not barrel_p2p_config:get(auth_enabled)],
    ok.
