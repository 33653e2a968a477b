%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_registry_sup).
-moduledoc """
Supervises the registry and what serves it, and owns the tables that must survive each of these processes.
""".

-behaviour(supervisor).
-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    ok = barrel_p2p_registry_table:new(),
    ok = barrel_p2p_service_events:new_table(),
    ok = barrel_p2p_proxy_sup:new_table(),
    ok = barrel_p2p_service_stats:new(),
    Workers = [#{id => Module, start => {Module, start_link, []}}
               || Module <- [barrel_p2p_service_events, barrel_p2p_registry_server, barrel_p2p_router]],
    Proxies = #{id => barrel_p2p_proxy_sup, start => {barrel_p2p_proxy_sup, start_link, []}, type => supervisor},
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10}, Workers ++ [Proxies]}}.
