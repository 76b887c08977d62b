"""The exit codes of the program, one table for people, scripts and the documentation.

Why: alarms and court tooling act on numbers. Each number means one thing for ever; docs/exit-codes.md is
generated from this table and a test fails when the two differ.

Refuses: numbers that are not listed here. Commands end by raising `CommandError` or returning normally.
"""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of `tiezheng` (stable)."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    NOT_ALLOWED = 5
    CONFLICT = 6
    DEGRADED = 7
    OUTCOME_UNKNOWN = 8
    CONTENT_DIFFERS = 10
    TRUST_NOT_MET = 11
    LOG_CONTRADICTS = 12
    UNREADABLE = 13
    NODE_HALTED = 14
    DISK_FAILED = 15
    INTERRUPTED = 130


MEANING: dict[Exit, tuple[str, str]] = {
    Exit.OK: ("done", "完成"),
    Exit.FAILURE: ("another failure; the message says which", "其他失败，见提示"),
    Exit.USAGE: ("the command line is wrong", "命令用法错误"),
    Exit.UNREACHABLE: ("nobody answered at the address", "无法连接"),
    Exit.NOT_FOUND: ("no such record, file or name", "未找到"),
    Exit.NOT_ALLOWED: ("the key or the file's mode does not allow it", "无权限"),
    Exit.CONFLICT: ("it exists already with other content", "已存在且内容不同"),
    Exit.DEGRADED: ("reachable, but not healthy: no quorum, lag, a node down", "可连接但不健康"),
    Exit.OUTCOME_UNKNOWN: (
        "timed out; whether it happened is not known; repeating is safe",
        "超时，结果未知，可安全重试",
    ),
    Exit.CONTENT_DIFFERS: ("the content is not the one the proof speaks of", "内容与证明不符"),
    Exit.TRUST_NOT_MET: ("signatures or the trust file's policy are not met", "签名或信任策略不满足"),
    Exit.LOG_CONTRADICTS: (
        "the ledger contradicts itself: possible fork; evidence was kept",
        "账本自相矛盾，可能分叉",
    ),
    Exit.UNREADABLE: (
        "the file cannot be read as what it should be, or is unsupported",
        "文件无法解析或不受支持",
    ),
    Exit.NODE_HALTED: (
        "the node refuses to take part: its own state is contradicted or was lost",
        "节点停止参与：自身状态矛盾或丢失",
    ),
    Exit.DISK_FAILED: ("a disk write failed; the process ended at once", "磁盘写入失败，进程立即退出"),
    Exit.INTERRUPTED: ("interrupted from the keyboard", "被中断"),
}


class CommandError(Exception):
    """What a command could not do: an exit code, a sentence, and the way out.

    `code` is the stable E_… code where one exists, else "".
    """

    def __init__(self, exit_code: Exit, message: str, *, hint: str = "", code: str = "") -> None:
        """Keep the parts; the entry point prints them and ends with `exit_code`."""
        super().__init__(message)
        self.exit_code = exit_code
        self.message = message
        self.hint = hint
        self.code = code


def exit_for(error: BaseException, default: Exit = Exit.FAILURE) -> Exit:
    """Return the exit code for an error of the file system, be it `error` itself or what it was raised from.

    `default` is for everything else.
    """
    for one in (error, error.__cause__):
        if isinstance(one, FileNotFoundError | NotADirectoryError | IsADirectoryError):
            return Exit.NOT_FOUND
        if isinstance(one, PermissionError):
            return Exit.NOT_ALLOWED
        if isinstance(one, FileExistsError):
            return Exit.CONFLICT
    return default


def exit_code_table() -> str:
    """Return the table of docs/exit-codes.md as Markdown."""
    rows = ["| code | name | meaning | 含义 |", "|---|---|---|---|"]
    rows += [f"| {int(e)} | {e.name} | {MEANING[e][0]} | {MEANING[e][1]} |" for e in Exit]
    return "\n".join(rows) + "\n"
