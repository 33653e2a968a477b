%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_hyparview).
-moduledoc """
For tests of partitions: keeps chosen nodes out of the views of this node. Plain dist channels to them are not affected.
""".

-export([block_peers/1, unblock_peers/0]).

%% In place of those blocked before. Neighbours among them go with {peer_down, Node, blocked}; joining one of them does nothing.
-spec block_peers([node()]) -> ok.
block_peers(Nodes) ->
    barrel_p2p_gossip:command(fun(Gossip) -> barrel_p2p_nif:gossip_block(Gossip, [atom_to_binary(Node) || Node <- Nodes]) end).

-spec unblock_peers() -> ok.
unblock_peers() ->
    barrel_p2p_gossip:command(fun barrel_p2p_nif:gossip_unblock/1).
