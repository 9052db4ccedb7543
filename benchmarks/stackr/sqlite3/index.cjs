// What TypeORM calls of the package `sqlite3`, which has to be compiled; the binary of libsql comes with npm.
"use strict";

const Libsql = require("libsql");

class Database {
  constructor(path, opened) {
    this.libsql = new Libsql(path);
    setImmediate(opened, null);
  }

  /** A statement whose rows are not asked for; the handler is called with `changes` and `lastID` of it. */
  run(sql, parameters, handler) {
    this.all(sql, parameters, handler);
  }

  /** All rows of a statement. */
  all(sql, parameters, handler) {
    const [values, done] = typeof parameters === "function" ? [[], parameters] : [parameters ?? [], handler];
    try {
      const [found, rows] = execute(this.libsql.prepare(sql), values.map(toSqlite));
      setImmediate(() => done.call(found, null, rows));
    } catch (error) {
      setImmediate(() => done.call({}, error));
    }
  }

  close(done) {
    this.libsql.close();
    setImmediate(done, null);
  }
}

function execute(statement, values) {
  if (statement.reader) return [{}, statement.all(values)];
  const { changes, lastInsertRowid } = statement.run(values);
  return [{ changes, lastID: Number(lastInsertRowid) }, []];
}

function toSqlite(value) {
  return typeof value === "boolean" ? Number(value) : (value ?? null);
}

const sqlite3 = { Database, OPEN_URI: 0x40, verbose: () => sqlite3 };
module.exports = sqlite3;
