%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_metrics).
-moduledoc """
What this node counts and measures, as numbers by name.

Names begin with `barrel_p2p.`; labels would grow with the cluster, so there are none.
""".

-export([snapshot/0]).

%% Counters count since the engine of this node started, or since the virtual machine did; gauges tell what is now. A node without
%% distribution has only the latter.
-spec snapshot() -> #{Name :: binary() => non_neg_integer()}.
snapshot() ->
    maps:merge(maps:merge(barrel_p2p_gossip:stats(), barrel_p2p_service_stats:snapshot()),
               #{<<"barrel_p2p.dist_gc.reap">> => barrel_p2p_dist_gc:reaped(),
                 <<"barrel_p2p.dist.channels">> => length(nodes(connected))}).
