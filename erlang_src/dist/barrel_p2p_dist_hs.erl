%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist_hs).
-moduledoc """
What `dist_util` needs to run OTP's own distribution handshake over a channel. The one module that knows the kernel's dist headers.

The peer of a channel has already proved its name in the hello, and the name in the dist handshake must be the same one.
""".

-export([dialled/6, accepted/5]).

-include_lib("kernel/include/net_address.hrl").
-include_lib("kernel/include/dist.hrl").
-include_lib("kernel/include/dist_util.hrl").

%% DFLAG_NAME_ME: the dialler asks for a name and sends only its host.
-define(NAME_ME, (1 bsl 33)).

-type socket() :: barrel_p2p_dist_ctrl:socket().

-spec dialled(pid(), socket(), node(), node(), normal | hidden, pid()) -> #hs_data{}.
dialled(Kernel, Socket, Node, MyNode, Type, Timer) ->
    (common(Kernel, Socket, MyNode, Timer))#hs_data{other_node = Node, request_type = Type}.

-spec accepted(pid(), socket(), node(), [node()], pid()) -> #hs_data{}.
accepted(Kernel, Socket, MyNode, Allowed, Timer) ->
    Peer = barrel_p2p_dist_ctrl:peer(Socket),
    (common(Kernel, Socket, MyNode, Timer))#hs_data{allowed = Allowed, f_recv = fun(S, Length, Timeout) -> recv_from(Peer, S, Length, Timeout) end}.

-spec common(pid(), socket(), node(), pid()) -> #hs_data{}.
common(Kernel, Socket, MyNode, Timer) ->
    #hs_data{kernel_pid = Kernel,
             this_node = MyNode,
             socket = Socket,
             timer = Timer,
             this_flags = 0,
             other_version = 6,
             %% Features that need strict order across all processes are not for lanes. The atom cache is one too, but native code keeps one for
             %% each lane.
             reject_flags = dist_util:strict_order_flags() band bnot ?DFLAG_DIST_HDR_ATOM_CACHE,
             f_send = fun barrel_p2p_dist_ctrl:send/2,
             f_recv = fun barrel_p2p_dist_ctrl:recv/3,
             f_setopts_pre_nodeup = fun(_) -> ok end,
             f_setopts_post_nodeup = fun(_) -> ok end,
             f_getll = fun barrel_p2p_dist_ctrl:getll/1,
             f_address = fun address/2,
             f_handshake_complete = fun barrel_p2p_dist_ctrl:handshake_complete/3,
             mf_tick = fun barrel_p2p_dist_ctrl:tick/1,
             mf_getstat = fun barrel_p2p_dist_ctrl:getstat/1}.

-spec address(socket(), node()) -> #net_address{}.
address(Socket, Node) ->
    #{address := Address} = barrel_p2p_dist_ctrl:peer(Socket),
    {ok, _, Host} = barrel_p2p_node_name:parse(Node),
    #net_address{address = Address, host = binary_to_list(Host), protocol = quic, family = inet}.

%% The name in the first packet becomes an atom and a node, so it is compared before dist_util sees it.
-spec recv_from(map(), socket(), non_neg_integer(), timeout()) -> {ok, [byte()]} | {error, closed | timeout | name_mismatch}.
recv_from(Peer, Socket, Length, Timeout) ->
    case barrel_p2p_dist_ctrl:recv(Socket, Length, Timeout) of
        {ok, [$N | _] = Packet} ->
            case is_name_of(Peer, list_to_binary(Packet)) of
                true -> {ok, Packet};
                false -> {error, name_mismatch}
            end;
        Other ->
            Other
    end.

%% A peer that has no name yet asks for one. A peer that was given its name by another node has none in its hello either; it may
%% use any name but one that belongs to a key.
-spec is_name_of(map(), binary()) -> boolean().
is_name_of(#{node := <<>>}, <<$N, Flags:64, _Creation:32, _Length:16, _Host/binary>>) when Flags band ?NAME_ME =/= 0 ->
    true;
is_name_of(#{node := <<>>}, <<$N, _Flags:64, _Creation:32, Length:16, Name:Length/binary, _/binary>>) ->
    case barrel_p2p_native:identity() of
        {ok, Identity} -> barrel_p2p_nif:trust_lookup(Identity, Name) =:= not_pinned;
        {error, _} -> false
    end;
is_name_of(#{node := Node}, <<$N, Flags:64, _Creation:32, Length:16, Name:Length/binary, _/binary>>) ->
    Flags band ?NAME_ME =:= 0 andalso Name =:= Node;
is_name_of(_, _) ->
    false.
