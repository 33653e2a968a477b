%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map_sup).
-moduledoc """
The supervisor of the maps of this node, each with a supervisor of its own: a map that fails again and again ends alone and is there again when
somebody opens it.

When it starts, also after a crash, it opens the maps of the configuration and those that were open before. One that cannot be opened is logged.
""".

-behaviour(supervisor).
-export([start_link/0, start_map/2, stop_map/1, which_maps/0]).
-export([init/1]).

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    case supervisor:start_link({local, ?MODULE}, ?MODULE, []) of
        {ok, Pid} ->
            lists:foreach(fun open/1, barrel_p2p_map_table:maps() ++ barrel_p2p_config:get(replicated_maps)),
            {ok, Pid};
        Other ->
            Other
    end.

%% The supervisor of the map, whether it was there or not.
-spec start_map(Name :: atom(), barrel_p2p_map_options:options()) -> {ok, pid()} | {error, term()}.
start_map(Name, Options) ->
    Spec = #{id => Name, start => {barrel_p2p_map_instance_sup, start_link, [Name, Options]}, restart => temporary, type => supervisor},
    try supervisor:start_child(?MODULE, Spec) of
        {ok, Pid} when is_pid(Pid) -> {ok, Pid};
        {error, {already_started, Pid}} -> {ok, Pid};
        {error, {shutdown, {failed_to_start_child, _, {shutdown, Reason}}}} -> {error, Reason};
        {error, Reason} -> {error, Reason}
    catch
        exit:{noproc, _} -> {error, not_started}
    end.

-spec stop_map(Name :: atom()) -> ok.
stop_map(Name) ->
    _ = supervisor:terminate_child(?MODULE, Name),
    ok.

-spec which_maps() -> [Name :: atom()].
which_maps() ->
    [Name || {Name, Pid, _, _} <- supervisor:which_children(?MODULE), is_pid(Pid)].

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, {#{strategy => one_for_one, intensity => 10, period => 10}, []}}.

-spec open(term()) -> ok.
open({Name, Given} = Map) ->
    case barrel_p2p_map:new(Name, Given) of
        {ok, _} -> ok;
        {error, Reason} -> barrel_p2p_log:report(error, #{event => map_not_started, map => Map, reason => Reason})
    end;
open(Name) when is_atom(Name) ->
    open({Name, #{}});
open(Other) ->
    barrel_p2p_log:report(error, #{event => map_not_started, map => Other, reason => invalid_map_name}).
