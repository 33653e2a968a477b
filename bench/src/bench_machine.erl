%% SPDX-License-Identifier: Apache-2.0
-module(bench_machine).
-moduledoc """
What the numbers were measured on, and whether the machine was busy with something else. Reads `/proc`, so it needs Linux.
""".

-export([describe/0, caption/1, load/0, cpu_seconds/1, resident_bytes/1, usage/0, shares/3, is_busy/1]).

-export_type([usage/0]).

%% Ticks since boot, summed over all CPUs.
-type usage() :: #{busy := non_neg_integer(), stolen := non_neg_integer(), total := non_neg_integer()}.

%% More than this beside our own VMs, and the numbers say something about the neighbours.
-define(BUSY_SHARE, 0.05).
%% USER_HZ is 100 on every Linux that Erlang runs on; it is the unit of /proc whatever the kernel's own tick is.
-define(TICKS_PER_SECOND, 100).

-spec describe() -> #{atom() => binary() | integer()}.
describe() ->
    #{cpu => cpu_model(),
      cores => erlang:system_info(logical_processors_available),
      kernel => trimmed(file:read_file("/proc/sys/kernel/osrelease")),
      otp => otp_version(),
      erts => text(erlang:system_info(version)),
      crypto => crypto_library()}.

%% One line; `commit` is that of the project.
-spec caption(#{atom() => binary() | integer()}) -> string().
caption(#{cpu := Cpu, cores := Cores, kernel := Kernel, otp := Otp, crypto := Crypto, commit := Commit}) ->
    lists:flatten(io_lib:format("~ts, ~b cores, Linux ~ts, OTP ~ts, ~ts, commit ~ts", [Cpu, Cores, Kernel, Otp, Crypto, Commit])).

%% The load average of the last minute.
-spec load() -> float().
load() ->
    {ok, Text} = file:read_file("/proc/loadavg"),
    [OneMinute | _] = binary:split(Text, <<" ">>),
    binary_to_float(OneMinute).

%% CPU seconds of one process: user and system time of all its threads.
-spec cpu_seconds(string()) -> float().
cpu_seconds(OsPid) ->
    {ok, Stat} = file:read_file("/proc/" ++ OsPid ++ "/stat"),
    %% The second field is the program's name in parentheses and may hold anything: count from the last one.
    [_, Rest] = string:split(Stat, ") ", trailing),
    Fields = binary:split(Rest, <<" ">>, [global]),
    (binary_to_integer(lists:nth(12, Fields)) + binary_to_integer(lists:nth(13, Fields))) / ?TICKS_PER_SECOND.

%% Memory of one process that is in use and no part of a file: not its program, not its libraries.
-spec resident_bytes(string()) -> non_neg_integer().
resident_bytes(OsPid) ->
    {ok, Status} = file:read_file("/proc/" ++ OsPid ++ "/status"),
    {match, [Kilobytes]} = re:run(Status, "^RssAnon:\\s*([0-9]+) kB", [multiline, {capture, all_but_first, binary}]),
    1024 * binary_to_integer(Kilobytes).

-spec usage() -> usage().
usage() ->
    {ok, Stat} = file:read_file("/proc/stat"),
    [Line | _] = binary:split(Stat, <<"\n">>),
    [<<"cpu">> | Fields] = binary:split(Line, <<" ">>, [global, trim_all]),
    [User, Nice, System, Idle, Wait, Irq, SoftIrq, Stolen | _] = [binary_to_integer(F) || F <- Fields],
    Busy = User + Nice + System + Irq + SoftIrq,
    #{busy => Busy, stolen => Stolen, total => Busy + Idle + Wait + Stolen}.

%% Between two readings: the share of the machine that others than `OwnSeconds` used, and the share that the hypervisor took away.
-spec shares(usage(), usage(), float()) -> #{others := float(), stolen := float()}.
shares(From, To, OwnSeconds) ->
    #{busy := Busy, stolen := Stolen, total := Total} = maps:map(fun(Key, Ticks) -> Ticks - maps:get(Key, From) end, To),
    #{others => max(0.0, (Busy - OwnSeconds * ?TICKS_PER_SECOND) / max(1, Total)), stolen => Stolen / max(1, Total)}.

%% Whether so large a share of the machine for others makes a measurement worthless.
-spec is_busy(float()) -> boolean().
is_busy(Share) ->
    Share > ?BUSY_SHARE.

cpu_model() ->
    {ok, Info} = file:read_file("/proc/cpuinfo"),
    case re:run(Info, "^(?:model name|Model|cpu model)\\s*:\\s*(.+)$", [multiline, {capture, all_but_first, binary}]) of
        {match, [Model]} -> Model;
        nomatch -> text(erlang:system_info(system_architecture))
    end.

otp_version() ->
    Release = erlang:system_info(otp_release),
    case file:read_file(filename:join([code:root_dir(), "releases", Release, "OTP_VERSION"])) of
        {ok, _} = Read -> trimmed(Read);
        {error, _} -> text(Release)
    end.

crypto_library() ->
    [{_, _, Version} | _] = crypto:info_lib(),
    Version.

trimmed({ok, Text}) -> string:trim(Text);
trimmed({error, _}) -> <<"unknown">>.

text(Chars) -> unicode:characters_to_binary(Chars).
