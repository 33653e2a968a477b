%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_sup).
-moduledoc """
The root of the supervision tree.

Empty as yet: the carrier belongs to `net_kernel`, which starts it before any application, and the native core runs on its own threads.
""".

-behaviour(supervisor).
-export([start_link/0, init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10}, []}}.
