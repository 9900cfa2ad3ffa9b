/** A backing service that serves; disposing it stops it. */
export interface RunningService extends AsyncDisposable {
  readonly name: string
  /** What serves, for people: `RabbitMQ 3.10.8 from Debian's packages`. */
  readonly detail: string
  /** Operating-system processes of ours that serve it; empty when it runs elsewhere. */
  processIds(): number[]
}
