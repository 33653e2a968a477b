%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist_ctrl).
-moduledoc """
The dist controller of one channel: it moves signals from the emulator to the link. `barrel_p2p_dist_input` is its other half.

Keeps: signals are handed over in the order in which the emulator gives them; nothing is taken from the emulator while the channel's queues
are full, so that the emulator itself suspends senders (`+zdbbl`); ticks and statistics go straight to native code and never wait behind data.

Before it comes to that, the processes that send much are suspended while too much of them is under way. Nobody else then has to wait in the
emulator's one queue per peer. Such a process is suspended after it has sent, as the emulator would do it, but also where it asked for
`nosuspend`; so it is never suspended for longer than 100 ms, and goes on by itself when this process ends.

During the handshake the end of the link is an answer (`{error, closed}`), not an exit: after a refused simultaneous connect `dist_util` waits
to be stopped by `net_kernel`, and an exit at that moment would turn a connect that the other direction has won into a failure.
""".

-export([connect/2, accept/3]).
-export([send/2, recv/3, getll/1, tick/1, getstat/1, peer/1, handshake_complete/3]).
-export([activity/1]).
-export_type([socket/0]).

-record(socket, {controller :: pid(), input :: pid(), channel :: barrel_p2p_nif:channel(), peer :: map()}).
-opaque socket() :: #socket{}.
%% What the emulator gives goes to the channel; these processes are suspended until it has room again.
-record(flow, {dhandle :: erlang:dist_handle(), channel :: barrel_p2p_nif:channel(), held = [] :: [pid()], timer = none :: none | reference()}).

-type request() :: #{node := binary(), own_name := binary(), cookie := binary(), addresses := [{binary(), inet:port_number()}, ...]}.

%% Signals handed over in one call: enough to spread its cost, few enough to leave the process responsive.
-define(BATCH_BYTES, 128 * 1024).
-define(BATCH_SIGNALS, 256).

%% Nobody is held for longer at a time. Where the peer takes nothing meanwhile the emulator is left alone with its queue.
-define(HOLD_MS, 100).

%% net_kernel answers an accepted channel at once unless it is busy with something else.
-define(ACCEPT_MS, 10000).

%% Where a controller keeps its channel for those who ask about it from outside: it may be busy for long, its dictionary answers always.
-define(CHANNEL, {?MODULE, channel}).

%% Dials Node and opens a channel. The caller becomes the supervisor of the controller.
-spec connect(node(), non_neg_integer()) -> {ok, socket()} | {error, atom()}.
connect(Node, Timeout) ->
    case barrel_p2p_discovery:addresses(Node) of
        {ok, Addresses} ->
            Request = #{node => atom_to_binary(Node), own_name => own_name(), cookie => atom_to_binary(auth:get_cookie(Node)),
                        addresses => Addresses},
            Supervisor = self(),
            Controller = spawn_opt(fun() -> init_dialled(Supervisor, Request, Timeout) end, [link, {priority, max}]),
            receive
                {Controller, Result} -> Result
            end;
        {error, not_found} ->
            {error, no_address}
    end.

%% Takes over a channel that a peer opened, and offers it to net_kernel.
-spec accept(pid(), barrel_p2p_nif:channel(), map()) -> pid().
accept(Kernel, Channel, Peer) ->
    spawn_opt(fun() -> init_accepted(Kernel, Channel, Peer) end, [{priority, max}]).

%% For the handshake: one packet.
-spec send(socket(), iodata()) -> ok | {error, closed}.
send(#socket{channel = Channel}, Packet) ->
    case barrel_p2p_nif:channel_send(Channel, iolist_to_binary(Packet)) of
        closed -> {error, closed};
        _ -> ok
    end.

-spec recv(socket(), non_neg_integer(), timeout()) -> {ok, [byte()]} | {error, closed | timeout}.
recv(#socket{input = Input}, _Length, Timeout) ->
    barrel_p2p_dist_input:recv(Input, Timeout).

-spec getll(socket()) -> {ok, pid()}.
getll(#socket{controller = Controller}) ->
    {ok, Controller}.

-spec tick(socket()) -> ok.
tick(#socket{channel = Channel}) ->
    barrel_p2p_nif:channel_tick(Channel).

-spec getstat(socket()) -> {ok, non_neg_integer(), non_neg_integer(), non_neg_integer()}.
getstat(#socket{channel = Channel}) ->
    {Received, Sent, Pending} = barrel_p2p_nif:channel_stat(Channel),
    {ok, Received, Sent, Pending}.

-spec peer(socket()) -> map().
peer(#socket{peer = Peer}) ->
    Peer.

%% From here the emulator owns the conversation.
-spec handshake_complete(socket(), node(), erlang:dist_handle()) -> ok.
handshake_complete(#socket{controller = Controller}, _Node, DHandle) ->
    Controller ! {handshake_complete, DHandle},
    ok.

%% Signals received and sent so far, ticks not counted, of the channel of this controller; not_ours for one of another carrier.
-spec activity(Controller :: pid()) -> {ok, {Received :: non_neg_integer(), Sent :: non_neg_integer()}} | {error, not_ours}.
activity(Controller) ->
    case process_info(Controller, dictionary) of
        {dictionary, Entries} ->
            case lists:keyfind(?CHANNEL, 1, Entries) of
                {_, Channel} -> {ok, barrel_p2p_nif:channel_activity(Channel)};
                false -> {error, not_ours}
            end;
        undefined ->
            {error, not_ours}
    end.

-spec own_name() -> binary().
own_name() ->
    case net_kernel:get_state() of
        #{name_type := static, name := Name} -> atom_to_binary(Name);
        _ -> <<>>
    end.

-spec init_dialled(pid(), request(), non_neg_integer()) -> no_return().
init_dialled(Supervisor, Request, Timeout) ->
    process_flag(trap_exit, true),
    Input = barrel_p2p_dist_input:start_link(),
    case open(Request, Input, Timeout) of
        {ok, Channel, Peer} ->
            Socket = #socket{controller = self(), input = Input, channel = Channel, peer = Peer},
            Supervisor ! {self(), {ok, Socket}},
            handshake(Socket, Supervisor);
        {error, Reason} ->
            Supervisor ! {self(), {error, Reason}},
            exit(normal)
    end.

-spec open(request(), pid(), non_neg_integer()) -> {ok, barrel_p2p_nif:channel(), map()} | {error, atom()}.
open(Request, Input, Timeout) ->
    case barrel_p2p_native:endpoint() of
        {ok, Endpoint} ->
            case barrel_p2p_nif:channel_connect(Endpoint, Input, Request, Timeout) of
                {ok, Channel} ->
                    ok = barrel_p2p_dist_input:serve(Input, Channel),
                    opened(Channel);
                {error, {Code, _}} -> {error, Code}
            end;
        {error, _} = Error ->
            Error
    end.

-spec opened(barrel_p2p_nif:channel()) -> {ok, barrel_p2p_nif:channel(), map()} | {error, atom()}.
opened(Channel) ->
    receive
        {barrel_p2p_connected, Peer} -> {ok, Channel, Peer};
        {barrel_p2p_failed, Reason} -> {error, Reason};
        {'EXIT', _, _} -> exit(shutdown)
    end.

-spec init_accepted(pid(), barrel_p2p_nif:channel(), map()) -> no_return().
init_accepted(Kernel, Channel, Peer) ->
    process_flag(trap_exit, true),
    Input = barrel_p2p_dist_input:start_link(),
    case barrel_p2p_nif:channel_accept(Channel, Input) of
        ok ->
            ok = barrel_p2p_dist_input:serve(Input, Channel),
            Socket = #socket{controller = self(), input = Input, channel = Channel, peer = Peer},
            Kernel ! {accept, self(), Socket, inet, quic},
            receive
                {Kernel, controller, Supervisor} ->
                    link(Supervisor),
                    Supervisor ! {self(), controller},
                    handshake(Socket, Supervisor);
                {Kernel, unsupported_protocol} ->
                    exit(shutdown)
            after ?ACCEPT_MS ->
                    exit(shutdown)
            end;
        closed ->
            exit(shutdown)
    end.

-spec handshake(socket(), pid()) -> no_return().
handshake(#socket{input = Input, channel = Channel} = Socket, Supervisor) ->
    receive
        {handshake_complete, DHandle} ->
            %% At normal priority a sender of large terms fills the emulator's queue again before a small sender that waits with it gets its turn:
            %% measured, the small one then waits for seconds. Work comes only from senders and ends at the queue's bound, so nobody starves.
            process_flag(priority, high),
            _ = put(?CHANNEL, Channel),
            ok = erlang:dist_ctrl_input_handler(DHandle, Input),
            _ = erlang:dist_ctrl_set_opt(DHandle, get_size, true),
            ok = barrel_p2p_dist_input:go(Input, DHandle),
            ok = erlang:dist_ctrl_get_data_notification(DHandle),
            idle(#flow{dhandle = DHandle, channel = Channel});
        {'EXIT', _, Reason} ->
            finish(Channel, Reason);
        _ ->
            handshake(Socket, Supervisor)
    end.

%% Nothing to send.
-spec idle(#flow{}) -> no_return().
idle(#flow{channel = Channel} = Flow) ->
    receive
        dist_data -> pull(Flow, [], 0, 0);
        {barrel_p2p_writable} -> idle(released(Flow));
        {timeout, Timer, held} when Timer =:= Flow#flow.timer ->
            case let_go(Flow) of
                {ok, Free} -> idle(Free);
                {busy, Free} -> busy(Free)
            end;
        {'EXIT', _, Reason} -> finish(Channel, Reason);
        _ -> idle(Flow)
    end.

%% The queues are full: the emulator keeps the rest.
-spec busy(#flow{}) -> no_return().
busy(#flow{channel = Channel} = Flow) ->
    receive
        {barrel_p2p_writable} -> pull(released(Flow), [], 0, 0);
        {timeout, Timer, held} when Timer =:= Flow#flow.timer -> busy(released(Flow));
        {'EXIT', _, Reason} -> finish(Channel, Reason)
    end.

-spec pull(#flow{}, [erlang:iovec()], non_neg_integer(), non_neg_integer()) -> no_return().
pull(Flow, Signals, Bytes, Count) when Bytes >= ?BATCH_BYTES; Count >= ?BATCH_SIGNALS ->
    case sent(Signals, Flow) of
        {busy, Sent} -> busy(Sent);
        {ok, Sent} -> listen(Sent)
    end;
pull(#flow{dhandle = DHandle} = Flow, Signals, Bytes, Count) ->
    case erlang:dist_ctrl_get_data(DHandle) of
        {Size, Signal} ->
            pull(Flow, [Signal | Signals], Bytes + Size, Count + 1);
        none when Count =:= 0 ->
            ok = erlang:dist_ctrl_get_data_notification(DHandle),
            idle(Flow);
        none ->
            case sent(Signals, Flow) of
                {busy, Sent} ->
                    busy(Sent);
                {ok, Sent} ->
                    ok = erlang:dist_ctrl_get_data_notification(DHandle),
                    idle(Sent)
            end
    end.

-spec sent([erlang:iovec()], #flow{}) -> {ok | busy, #flow{}}.
sent(Signals, #flow{channel = Channel, held = Held} = Flow) ->
    case barrel_p2p_nif:channel_send_signals(Channel, lists:reverse(Signals)) of
        busy -> {busy, Flow};
        {hold, Senders} -> {ok, timed(Flow#flow{held = [Pid || Sender <- Senders, Pid <- held(Sender)] ++ Held})};
        _ -> {ok, Flow}
    end.

%% Between two batches.
-spec listen(#flow{}) -> no_return().
listen(#flow{channel = Channel} = Flow) ->
    receive
        {barrel_p2p_writable} -> pull(released(Flow), [], 0, 0);
        {timeout, Timer, held} when Timer =:= Flow#flow.timer ->
            case let_go(Flow) of
                {ok, Free} -> pull(Free, [], 0, 0);
                {busy, Free} -> busy(Free)
            end;
        {'EXIT', _, Reason} -> finish(Channel, Reason)
    after 0 ->
            pull(Flow, [], 0, 0)
    end.

-spec timed(#flow{}) -> #flow{}.
timed(#flow{timer = none} = Flow) ->
    Flow#flow{timer = erlang:start_timer(?HOLD_MS, self(), held)};
timed(Flow) ->
    Flow.

%% A process that is gone needs no holding.
-spec held({non_neg_integer(), non_neg_integer()}) -> [pid()].
held({Number, Serial}) ->
    Pid = list_to_pid(lists:flatten(io_lib:format("<0.~b.~b>", [Number, Serial]))),
    try erlang:suspend_process(Pid, [asynchronous]) of
        true -> [Pid]
    catch
        error:badarg -> []
    end.

%% It took too long. Whoever sends on is held again, unless the peer has taken nothing.
-spec let_go(#flow{}) -> {ok | busy, #flow{}}.
let_go(#flow{channel = Channel} = Flow) ->
    {barrel_p2p_nif:channel_let_go(Channel), released(Flow)}.

-spec released(#flow{}) -> #flow{}.
released(#flow{timer = none} = Flow) ->
    Flow;
released(#flow{held = Held, timer = Timer} = Flow) ->
    _ = erlang:cancel_timer(Timer),
    lists:foreach(fun release/1, Held),
    Flow#flow{held = [], timer = none}.

-spec release(pid()) -> ok.
release(Pid) ->
    try erlang:resume_process(Pid) of
        true -> ok
    catch
        error:badarg -> ok
    end.

%% What was sent before is still delivered, in the background: the last packet may be the refusal that the peer waits for.
-spec finish(barrel_p2p_nif:channel(), term()) -> no_return().
finish(Channel, Reason) ->
    ok = barrel_p2p_nif:channel_close(Channel, graceful),
    exit(Reason).
