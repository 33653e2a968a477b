%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_service_stats).
-moduledoc """
What the services count, since the virtual machine started, and how much of what there is now.
""".

-export([new/0, add/1, snapshot/0]).
-export_type([counter/0]).

%% request_dropped: queries of the router over router_max_in_flight. cast_dropped: casts of proxies over proxy_cast_max_in_flight. rejected:
%% registrations of other nodes that make no sense.
-type counter() :: request_dropped | cast_dropped | rejected.

%% Before the first is counted. What was counted before a restart counts on.
-spec new() -> ok.
new() ->
    case persistent_term:get(?MODULE, none) of
        none -> persistent_term:put(?MODULE, counters:new(3, [write_concurrency]));
        _ -> ok
    end.

-spec add(counter()) -> ok.
add(Counter) ->
    counters:add(persistent_term:get(?MODULE), index(Counter), 1).

-spec snapshot() -> #{Name :: <<_:64, _:_*8>> => non_neg_integer()}.
snapshot() ->
    {Local, Remote} = barrel_p2p_registry_table:sizes(),
    Counted = maps:from_list([{name(Counter), counted(Counter)} || Counter <- [request_dropped, cast_dropped, rejected]]),
    Counted#{<<"barrel_p2p.registry.local">> => Local, <<"barrel_p2p.registry.remote">> => Remote}.

-spec counted(counter()) -> non_neg_integer().
counted(Counter) ->
    case persistent_term:get(?MODULE, none) of
        none -> 0;
        Counters -> counters:get(Counters, index(Counter))
    end.

-spec index(counter()) -> 1..3.
index(request_dropped) -> 1;
index(cast_dropped) -> 2;
index(rejected) -> 3.

-spec name(counter()) -> <<_:64, _:_*8>>.
name(request_dropped) -> <<"barrel_p2p.router.request_dropped">>;
name(cast_dropped) -> <<"barrel_p2p.service_proxy.cast_dropped">>;
name(rejected) -> <<"barrel_p2p.registry.rejected">>.
