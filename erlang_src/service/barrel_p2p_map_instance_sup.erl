%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map_instance_sup).
-moduledoc """
One map: its table, which belongs to this process, and the owner that writes to it. So readers see the content while the owner starts again.
""".

-behaviour(supervisor).
-export([start_link/2]).
-export([init/1]).

-spec start_link(Name :: atom(), barrel_p2p_map_options:options()) -> supervisor:startlink_ret().
start_link(Name, Options) ->
    supervisor:start_link(?MODULE, {Name, Options, self()}).

-spec init({atom(), barrel_p2p_map_options:options(), Parent :: pid()}) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init({Name, Options, Parent}) ->
    Table = barrel_p2p_map_table:new(Name, barrel_p2p_map:owner_name(Name), Options),
    %% A store with much content takes its time to get to the disk.
    Owner = #{id => owner, start => {barrel_p2p_map_owner, start_link, [Name, Table, Options, Parent]}, restart => transient, shutdown => 30_000},
    {ok, {#{strategy => one_for_one, intensity => 5, period => 10}, [Owner]}}.
