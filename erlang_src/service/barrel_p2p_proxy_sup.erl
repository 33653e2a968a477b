%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_proxy_sup).
-moduledoc """
The proxies of this node, at most one per name.

A proxy that ends is not started again: it ended because its service did. Which there are stands in a table that belongs to the supervisor above.
""".

-behaviour(supervisor).
-export([new_table/0, start_link/0, start_proxy/2, stop_proxy/1, get_proxy/1, list_proxies/0, enter/1]).
-export([init/1]).

%% The caller becomes the owner of the table.
-spec new_table() -> ok.
new_table() ->
    barrel_p2p_proxies = ets:new(barrel_p2p_proxies, [set, public, named_table, {read_concurrency, true}]),
    ok.

-spec start_link() -> supervisor:startlink_ret().
start_link() ->
    supervisor:start_link({local, ?MODULE}, ?MODULE, []).

%% The proxy for that name, which from now on leads to that node; the one that is there if there is one.
-spec start_proxy(Name :: term(), node()) -> {ok, pid()} | {error, not_found}.
start_proxy(Name, Node) ->
    case get_proxy(Name) of
        {ok, Pid} ->
            case barrel_p2p_service_proxy:retarget(Pid, Node) of
                ok -> {ok, Pid};
                {error, not_found} -> {error, not_found};
                gone -> start_proxy(Name, Node)
            end;
        not_found ->
            case supervisor:start_child(?MODULE, [Name, Node]) of
                {ok, Pid} when is_pid(Pid) -> {ok, Pid};
                {error, already_started} -> start_proxy(Name, Node);
                {error, not_found} -> {error, not_found}
            end
    end.

-spec stop_proxy(Name :: term()) -> ok.
stop_proxy(Name) ->
    case get_proxy(Name) of
        {ok, Pid} -> _ = supervisor:terminate_child(?MODULE, Pid), ok;
        not_found -> ok
    end.

-spec get_proxy(Name :: term()) -> {ok, pid()} | not_found.
get_proxy(Name) ->
    case ets:lookup(barrel_p2p_proxies, Name) of
        [{_, Pid} = Row] ->
            case is_process_alive(Pid) of
                true -> {ok, Pid};
                false -> true = ets:delete_object(barrel_p2p_proxies, Row), not_found
            end;
        [] ->
            not_found
    end.

-spec list_proxies() -> [{Name :: term(), pid()}].
list_proxies() ->
    [Row || {_, Pid} = Row <- ets:tab2list(barrel_p2p_proxies), is_process_alive(Pid)].

%% For a proxy that starts: makes the caller the one of that name.
-spec enter(Name :: term()) -> ok | already_started.
enter(Name) ->
    case get_proxy(Name) =:= not_found andalso ets:insert_new(barrel_p2p_proxies, {Name, self()}) of
        true -> ok;
        false -> already_started
    end.

-spec init([]) -> {ok, {supervisor:sup_flags(), [supervisor:child_spec()]}}.
init([]) ->
    {ok, {#{strategy => simple_one_for_one},
          [#{id => proxy, start => {barrel_p2p_service_proxy, start_link, []}, restart => temporary}]}}.
