%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_sup).
-moduledoc """
The root of the supervision tree.

The carrier is not in it: it belongs to `net_kernel`, which starts it before any application, and the native core runs on its own threads. Each
process here can crash and come back by itself: what must survive that, the subscriptions, who was announced as neighbour and which maps are open,
stands in tables that belong to this process.
""".

-behaviour(supervisor).
-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    ok = barrel_p2p_events:new_table(),
    ok = barrel_p2p_membership:new_table(),
    ok = barrel_p2p_map_table:new_index(),
    Children = [#{id => Module, start => {Module, start_link, []}}
                || Module <- [barrel_p2p_events, barrel_p2p_membership, barrel_p2p_bootstrap, barrel_p2p_dist_gc]],
    Supervisors = [#{id => Module, start => {Module, start_link, []}, type => supervisor}
                   || Module <- [barrel_p2p_registry_sup, barrel_p2p_map_sup]],
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10}, Children ++ Supervisors}}.
