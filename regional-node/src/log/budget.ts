/** Room that one holder takes piece by piece. */
export type Account = Disposable & {
  /** Counts what is written in any case, even beyond the bound. */
  readonly add: (amount: number) => void
}

/** Room for bytes or things that several holders share; nobody waits, whoever does not fit is told so. */
export class Budget {
  readonly #most: number
  #used = 0

  constructor(most: number) {
    this.#most = most
  }

  get used(): number {
    return this.#used
  }

  get most(): number {
    return this.#most
  }

  /** Takes `amount`, or returns null where it does not fit. What is taken is given back once, however often disposed. */
  take(amount: number): Disposable | null {
    if (this.#used + amount > this.#most) return null
    return this.takeExisting(amount)
  }

  /** Counts what is there already, even beyond the bound: files of before a restart. */
  takeExisting(amount: number): Disposable {
    const account = this.account()
    account.add(amount)
    return account
  }

  /** A holder that grows, and gives all back when disposed. */
  account(): Account {
    let held = 0
    return {
      add: amount => {
        this.#used += amount
        held += amount
      },
      [Symbol.dispose]: () => {
        this.#used -= held
        held = 0
      },
    }
  }
}
