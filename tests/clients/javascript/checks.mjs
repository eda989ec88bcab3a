// Checks for scripts that run inside a client's own runtime; the lines are those of checks.py.

const CHECK_MS = 20_000;
const all = [];

/** Add a check: it throws when something is wrong. */
export function check(what, body) {
  all.push([what, body]);
}

/** Run every check, whatever the others found. */
export async function runAll() {
  for (const [what, body] of all) {
    try {
      await Promise.race([body(), tooLate()]);
      console.log(`ok ${what}`);
    } catch (error) {
      const why = error instanceof Wrong ? error.message : `${error?.constructor?.name}: ${error?.message}`;
      console.log(`FAIL ${what}: ${why.replace(/\s+/g, " ").slice(0, 600)}`);
    }
  }
  console.log("end");
}

const tooLate = () =>
  new Promise((_, reject) => setTimeout(() => reject(new Wrong(`no end after ${CHECK_MS / 1000} s`)), CHECK_MS));

class Wrong extends Error {}

/** Require equality, by value. */
export function same(found, wanted, about = "") {
  const [left, right] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (left !== right) throw new Wrong(`${about ? `${about}: ` : ""}${left} instead of ${right}`);
}

/** Require something that is true. */
export function require(condition, whyNot) {
  if (!condition) throw new Wrong(whyNot);
}

/** Give the error that something fails with. */
export async function raised(attempt) {
  let found;
  try {
    found = await attempt();
  } catch (error) {
    return error;
  }
  throw new Wrong(`no error, but ${JSON.stringify(found)}`);
}
