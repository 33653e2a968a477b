%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist_listener).
-moduledoc """
The process that speaks for the virtual machine to the endpoint: cookies, incoming channels, refusals.

It is linked to `net_kernel`, which treats its death as the death of the listener, and it stops the endpoint when `net_kernel` ends: that
is the only sign when distribution without a listen socket is stopped.
""".

-export([start_link/0, go/1, stop/1]).

-define(STOP_MS, 2000).

-spec start_link() -> pid().
start_link() ->
    Kernel = self(),
    spawn_opt(fun() -> init(Kernel) end, [link, {priority, max}]).

%% The node has its name: cookies may be asked for now.
-spec go(pid()) -> ok.
go(Listener) ->
    Listener ! go,
    ok.

%% Stops the endpoint and frees its port. Bounded.
-spec stop(pid()) -> ok.
stop(Listener) ->
    unlink(Listener),
    Ref = monitor(process, Listener),
    Listener ! {stop, self()},
    receive
        {'DOWN', Ref, process, _, _} -> ok
    after ?STOP_MS ->
            demonitor(Ref, [flush]),
            exit(Listener, kill),
            barrel_p2p_native:stop_endpoint()
    end.

-spec init(pid()) -> no_return().
init(Kernel) ->
    process_flag(trap_exit, true),
    %% Until the node is named there is no cookie to answer with; peers that are early wait in the mailbox.
    receive
        go -> loop(Kernel);
        {stop, Kernel} -> finish();
        {'EXIT', Kernel, _} -> finish()
    end.

-spec loop(pid()) -> no_return().
loop(Kernel) ->
    receive
        {barrel_p2p_hello, Ticket, Node} ->
            ok = barrel_p2p_nif:hello_cookie(Ticket, cookie(Node)),
            loop(Kernel);
        {barrel_p2p_incoming, Channel, Peer} ->
            _ = barrel_p2p_dist_ctrl:accept(Kernel, Channel, Peer),
            loop(Kernel);
        {barrel_p2p_refused, Direction, Peer, Reason} ->
            barrel_p2p_log:refused(Direction, Peer, Reason),
            loop(Kernel);
        {stop, _} ->
            finish();
        {'EXIT', Kernel, _} ->
            finish();
        _ ->
            loop(Kernel)
    end.

-spec finish() -> no_return().
finish() ->
    ok = barrel_p2p_native:stop_endpoint(),
    exit(normal).

%% The name is only claimed so far, so no atom is made of it; a cookie for one node can only have been set under an atom that exists.
-spec cookie(binary()) -> binary().
cookie(Node) ->
    Cookie = try auth:get_cookie(binary_to_existing_atom(Node))
             catch error:badarg -> auth:get_cookie()
             end,
    atom_to_binary(Cookie).
