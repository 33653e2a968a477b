%% SPDX-License-Identifier: Apache-2.0
-module(capture).
-moduledoc """
Writes the frames that nodes of this OTP release send for every kind of signal, as a table for `frames.rs`. From the root of the repository:

    rebar3 compile
    erlc -o /tmp native/dist/tests/frames/capture.erl
    erl -noshell -pa /tmp _build/default/lib/barrel_p2p/ebin -run capture write native/dist/tests/frames/otp-25.txt

Two nodes talk over this carrier, and calls of the function that takes frames are traced. A frame is kept in the pieces the emulator gave. The
nodes do without the atom cache: with it a frame cannot be read alone.
""".
-export([write/1, reject_atom_cache/0, watch/0, frames/0, echo/0]).

%% Of payload only the beginning is kept.
-define(PAYLOAD_BYTES, 8).

-spec write([string()]) -> no_return().
write([File]) ->
    Dir = string:trim(os:cmd("mktemp -d")),
    A = start(Dir, "alpha"),
    B = start(Dir, "beta"),
    Rows = lists:append([row(Scenario, A, B) || Scenario <- scenarios()]),
    Head = ["# Frames of OTP ", erlang:system_info(otp_release), ", written by capture.erl.\n",
            "# signal | order | sender in external form | pieces of the frame, in hexadecimal\n"],
    ok = file:write_file(File, [Head | Rows]),
    _ = os:cmd("rm -r " ++ Dir),
    halt(0).

start(Dir, Name) ->
    Args = ["-pa" | code:get_path()] ++
           ["-name", Name ++ "@127.0.0.1", "-setcookie", "capture", "-proto_dist", "barrel_p2p", "-epmd_module", "barrel_p2p_epmd",
            "-start_epmd", "false", "-barrel_p2p", "listen_port", "0"] ++
           lists:append([["-barrel_p2p", Key, lists:flatten(io_lib:format("~0p", [filename:join([Dir, Sub])]))]
                         || {Key, Sub} <- [{"auth_key_dir", Name ++ ".keys"}, {"quic_cert_dir", Name ++ ".quic"}, {"discovery_dir", "found"}]]),
    ok = filelib:ensure_path(filename:join(Dir, "found")),
    {ok, Peer, Node} = peer:start(#{connection => standard_io, args => Args}),
    ok = peer:call(Peer, ?MODULE, reject_atom_cache, []),
    ok = peer:call(Peer, ?MODULE, watch, []),
    {Peer, Node}.

%% {Signal, who sends it, its op, what leads to it}. The fun runs on alpha and gives the order, and the process that must be the sender; if
%% there is none, one that is named in the frame.
scenarios() ->
    [{"message to a process", alpha, 22, fun(B) -> there(B) ! x, sender(self()) end},
     {"message to a name", alpha, 6, fun(B) -> {there, node(there(B))} ! x, sender(self()) end},
     {"message to an alias", alpha, alias_op(), fun(B) -> alias_there(B) ! x, sender(self()) end},
     {"message to a process, traced", alpha, 23, fun(B) -> Pid = there(B), traced(), Pid ! x, sender(self()) end},
     {"message to a name, traced", alpha, 16, fun(B) -> Node = node(there(B)), traced(), {there, Node} ! x, sender(self()) end},
     {"message to an alias, traced", alpha, alias_op(34), fun(B) -> Alias = alias_there(B), traced(), Alias ! x, sender(self()) end},
     {"link", alpha, 1, fun(B) -> link(there(B)), sender(self()) end},
     {"unlink", alpha, 35, fun(B) -> Pid = there(B), link(Pid), unlink(Pid), sender(self()) end},
     {"answer to unlink", beta, 36, fun(B) -> Pid = there(B), link(Pid), unlink(Pid), sender(Pid) end},
     {"exit of a linked process", alpha, 24, fun(B) -> Pid = there(B), sender(spawn(fun() -> link(Pid), exit(gone) end)) end},
     {"exit of a linked process, traced", alpha, 25,
      fun(B) -> Pid = there(B), sender(spawn(fun() -> link(Pid), traced(), exit(gone) end)) end},
     {"exit signal by exit/2", alpha, 26, fun(B) -> exit(there(B), gone), sender(self()) end},
     {"monitor of a process", alpha, 19, fun(B) -> monitor(process, there(B)), sender(self()) end},
     {"monitor of a name", alpha, 19, fun(B) -> monitor(process, {there, node(there(B))}), sender(self()) end},
     {"demonitor", alpha, 20, fun(B) -> demonitor(monitor(process, there(B))), sender(self()) end},
     {"down of a process", beta, 28, fun(B) -> Pid = there(B), monitor(process, Pid), Pid ! {exit, gone}, sender(Pid) end},
     {"down of a name", beta, 28, fun(B) -> Pid = there(B), monitor(process, {there, node(Pid)}), Pid ! {exit, gone}, {"barrier", self()} end},
     {"down of a name that nobody has", beta, 28, fun(B) -> monitor(process, {nobody, node(there(B))}), {"barrier", self()} end},
     {"group leader", alpha, 7, fun(B) -> Pid = there(B), group_leader(self(), Pid), {"fence", self()} end},
     {"spawn request", alpha, 29, fun(B) -> spawn_request(node(there(B)), erlang, now, [], []), sender(self()) end},
     {"spawn request with link and monitor, traced", alpha, 30,
      fun(B) -> Node = node(there(B)), traced(), spawn_request(Node, erlang, now, [], [link, monitor]), sender(self()) end},
     {"spawn reply", beta, 31, fun(B) -> sender(child(there(B), [])) end},
     {"spawn reply to link and monitor, traced", beta, 32, fun(B) -> Pid = there(B), traced(), sender(child(Pid, [link, monitor])) end},
     {"spawn reply of a failure", beta, 31,
      fun(B) -> spawn_request(node(there(B)), erlang, now, [], [{no_such_option, 1}]), {"barrier", self()} end},
     {"large message", alpha, 22, fun(B) -> there(B) ! <<0:200000/unit:8>>, sender(self()) end},
     {"large message of small terms", alpha, 22, fun(B) -> there(B) ! lists:seq(1, 30000), sender(self()) end},
     {"down of a process with a large reason", beta, 28,
      fun(B) -> Pid = there(B), monitor(process, Pid), Pid ! {exit, lists:seq(1, 30000)}, sender(Pid) end},
     {"down of a name with a large reason", beta, 28,
      fun(B) -> Pid = there(B), monitor(process, {there, node(Pid)}), Pid ! {exit, lists:seq(1, 30000)}, {"fence", self()} end},
     %% What the peer can do is not known yet, so this message has the oldest form.
     {"message that opens the connection", alpha, 2, fun(B) -> Pid = there(B), erlang:disconnect_node(node(Pid)), Pid ! x, {"fence", Pid} end}].

%% The successor of the operations for aliases is sent to peers that know it.
alias_op() -> alias_op(33).
alias_op(Old) ->
    case list_to_integer(erlang:system_info(otp_release)) >= 28 of true -> 37; false -> Old end.

sender(Pid) -> {"sender", Pid}.

traced() -> seq_trace:set_token(label, 7).

child(Pid, Options) ->
    Ref = spawn_request(node(Pid), timer, sleep, [1000], Options),
    receive {spawn_reply, Ref, ok, Child} -> Child end.

%% A new process on the other node, with a name. Another process asks for it, so that nothing of this is the scenario's.
there(Node) ->
    asked(fun() -> Pid = spawn(Node, ?MODULE, echo, []), ask(Pid, ready), Pid end).

alias_there(Node) ->
    Pid = there(Node),
    asked(fun() -> ask(Pid, alias) end).

asked(Fun) ->
    {_, Ref} = spawn_monitor(fun() -> exit({answer, Fun()}) end),
    receive {'DOWN', Ref, _, _, {answer, Answer}} -> Answer end.

ask(Pid, What) ->
    Pid ! {What, self()},
    receive {Pid, Answer} -> Answer end.

-spec echo() -> no_return().
echo() ->
    catch unregister(there),
    catch register(there, self()),
    echo_loop().

echo_loop() ->
    receive
        {ready, From} -> From ! {self(), ready}, echo_loop();
        {alias, From} -> From ! {self(), alias()}, echo_loop();
        {exit, Reason} -> exit(Reason);
        _ -> echo_loop()
    end.

row({Signal, Who, Op, Act}, {PeerA, _} = A, {_, NodeB} = B) ->
    {Sending, _} = case Who of alpha -> A; beta -> B end,
    _ = peer:call(Sending, ?MODULE, frames, []),
    {Order, Pid} = peer:call(PeerA, erlang, apply, [fun() -> scenario(Act, NodeB) end, []]),
    [First | More] = found(Sending, Op, Pid, Order, [], 100),
    Sender = case Order of "sender" -> hex(tl(binary_to_list(term_to_binary(Pid)))); _ -> "-" end,
    io:format(standard_error, "~s~n", [Signal]),
    [[Signal, " | ", Order, " | ", Sender, " | ", pieces(First), "\n"]
     | [[Signal, ", later fragment | next | - | ", pieces(Next), "\n"] || Next <- More]].

%% In a process of its own, that lives on while its signals are under way.
scenario(Act, NodeB) ->
    Self = self(),
    _ = spawn(fun() ->
                  process_flag(trap_exit, true),
                  Result = Act(NodeB),
                  _ = seq_trace:set_token([]),
                  Self ! {acted, Result},
                  timer:sleep(3000)
              end),
    receive {acted, Result} -> Result end.

found(Sending, Op, Pid, Order, Before, Left) when Left > 0 ->
    Frames = Before ++ peer:call(Sending, ?MODULE, frames, []),
    case lists:dropwhile(fun(Frame) -> not is_wanted(control(Frame), Op, Pid, Order) end, Frames) of
        [First | Later] ->
            case fragments(First) of
                {_, Number} when length(Later) < Number - 1 -> again(Sending, Op, Pid, Order, Frames, Left);
                {Sequence, Number} -> [First | [F || F <- Later, {S, N} <- [fragments(F)], S =:= Sequence, N < Number]];
                none -> [First]
            end;
        [] ->
            again(Sending, Op, Pid, Order, Frames, Left)
    end.

again(Sending, Op, Pid, Order, Frames, Left) ->
    timer:sleep(20),
    found(Sending, Op, Pid, Order, Frames, Left - 1).

is_wanted(Control, Op, Pid, Order) when is_tuple(Control), element(1, Control) =:= Op ->
    Elements = tl(tuple_to_list(Control)),
    lists:member(Pid, Elements) andalso (Order =/= "barrier" orelse lists:any(fun is_atom/1, Elements));
is_wanted(_, _, _, _) ->
    false.

control(Frame) ->
    case iolist_to_binary(Frame) of
        <<131, 68, 0, Control/binary>> -> decoded(Control);
        <<131, 69, _:128, 0, Control/binary>> -> decoded(Control);
        _ -> none
    end.

decoded(Control) ->
    binary_to_term(<<131, Control/binary>>).

fragments(Frame) ->
    case iolist_to_binary(Frame) of
        <<131, Tag, Sequence:64, Number:64, _/binary>> when Tag =:= 69; Tag =:= 70 -> {Sequence, Number};
        _ -> none
    end.

%% The pieces that hold header and control tuple whole, and a little of the next.
pieces(Frame) ->
    Bytes = iolist_to_binary(Frame),
    Head = case Bytes of
               <<131, 70, _/binary>> -> 18;
               <<131, 68, 0, Control/binary>> -> 3 + control_bytes(Control);
               <<131, 69, _:128, 0, Control/binary>> -> 19 + control_bytes(Control)
           end,
    lists:join(" ", [hex(Piece) || Piece <- up_to(Head + ?PAYLOAD_BYTES, Frame)]).

control_bytes(Control) ->
    {_, Used} = binary_to_term(<<131, Control/binary>>, [used]),
    Used - 1.

up_to(Left, [Piece | Pieces]) when Left > 0 ->
    Kept = binary:part(Piece, 0, min(Left, byte_size(Piece))),
    [Kept | up_to(Left - byte_size(Kept), Pieces)];
up_to(_, _) ->
    [].

hex(Bytes) ->
    string:lowercase(binary:encode_hex(iolist_to_binary(Bytes))).

%% On each node: flags that need strict order are rejected, with no exception.
-spec reject_atom_cache() -> ok.
reject_atom_cache() ->
    Module = barrel_p2p_dist_hs,
    {ok, {_, [{abstract_code, {_, Forms}}]}} = beam_lib:chunks(code:which(Module), [abstract_code]),
    {ok, Module, Beam} = compile:forms(without_exception(Forms), []),
    {module, Module} = code:load_binary(Module, "without an atom cache", Beam),
    ok.

without_exception({op, _, 'band', Flags, {op, _, 'bnot', _}}) -> Flags;
without_exception(Form) when is_tuple(Form) -> list_to_tuple(without_exception(tuple_to_list(Form)));
without_exception([Form | Forms]) -> [without_exception(Form) | without_exception(Forms)];
without_exception(Form) -> Form.

%% On each node: collects what is handed to the channel.
-spec watch() -> ok.
watch() ->
    Self = self(),
    Collector = spawn(fun() -> register(frames, self()), Self ! ready, collect([]) end),
    receive ready -> ok end,
    _ = erlang:trace(all, true, [call, {tracer, Collector}]),
    1 = erlang:trace_pattern({barrel_p2p_nif, channel_send_signals, 2}, true, []),
    ok.

-spec frames() -> [erlang:iovec()].
frames() ->
    frames ! {take, self()},
    receive {frames, Frames} -> Frames end.

collect(Frames) ->
    receive
        {trace, _, call, {_, _, [_, Signals]}} -> collect(Frames ++ [pieces_of(Signal) || Signal <- Signals]);
        {take, From} -> From ! {frames, Frames}, collect([])
    end.

pieces_of(Signal) when is_binary(Signal) -> [Signal];
pieces_of(Signal) -> Signal.
