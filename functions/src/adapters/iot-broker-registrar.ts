import {
  AttachPolicyCommand,
  AttachThingPrincipalCommand,
  CreateThingCommand,
  DescribeCertificateCommand,
  DetachPolicyCommand,
  DetachThingPrincipalCommand,
  IoTClient,
  ListThingPrincipalsCommand,
  RegisterCertificateCommand,
  RegisterCertificateWithoutCACommand,
  UpdateCertificateCommand,
} from '@aws-sdk/client-iot'
import { TributaryError } from '@tributary/contracts/errors'
import type { BrokerCertificate, BrokerRegistrar } from '../fleet/broker-registrar.ts'

const deadlineMillis = 8000

export type IotBrokerOptions = {
  /** Name of the IoT policy of each kind; both exist before anybody is registered. */
  readonly policies: Readonly<Record<BrokerCertificate['kind'], string>>
  /** PEM, where the authority itself is registered with IoT Core; otherwise its certificates are registered one by one without it. */
  readonly authorityPem?: string | undefined
}

/**
 * AWS IoT Core: the thing has the holder's id as its name, the certificate's id is its sha256. Certificate first and active, then what
 * it may do: a certificate without policy is refused, so that nothing stands open half way. Endpoint, region and credentials come
 * from the SDK's own environment; throttled calls are tried again by it.
 */
export class IotBrokerRegistrar implements BrokerRegistrar {
  readonly #options: IotBrokerOptions
  readonly #client: IoTClient

  constructor(options: IotBrokerOptions, client: IoTClient = new IoTClient({ maxAttempts: 4 })) {
    this.#options = options
    this.#client = client
  }

  register(certificate: BrokerCertificate): Promise<void> {
    return withinDeadline(async abortSignal => {
      const { kind, id, sha256, previousSha256 } = certificate
      const target = await this.#activate(certificate, abortSignal)
      const policyName = this.#options.policies[kind]
      await this.#client.send(new AttachPolicyCommand({ policyName, target }), { abortSignal })
      await this.#client.send(new CreateThingCommand({ thingName: id }), { abortSignal }).catch(unless(alreadyExists))
      const attached = { thingName: id, principal: target }
      await this.#client.send(new AttachThingPrincipalCommand(attached), { abortSignal })
      const good = new Set([sha256, previousSha256])
      for (const principal of await this.#principalsOf(id, abortSignal)) {
        if (!good.has(certificateIdOf(principal))) await this.#take(kind, id, principal, abortSignal)
      }
    })
  }

  revoke({ kind, id }: Pick<BrokerCertificate, 'kind' | 'id'>): Promise<void> {
    return withinDeadline(async abortSignal => {
      for (const principal of await this.#principalsOf(id, abortSignal)) {
        await this.#take(kind, id, principal, abortSignal)
      }
    })
  }

  /** The certificate is registered and active. */
  async #activate({ certificatePem, sha256 }: BrokerCertificate, abortSignal: AbortSignal): Promise<string> {
    const { authorityPem: caCertificatePem } = this.#options
    const wanted = { certificatePem, status: 'ACTIVE' } as const
    const register =
      caCertificatePem === undefined
        ? this.#client.send(new RegisterCertificateWithoutCACommand(wanted), { abortSignal })
        : this.#client.send(new RegisterCertificateCommand({ ...wanted, caCertificatePem }), { abortSignal })
    const made = await register.catch(unless(alreadyExists))
    if (made?.certificateArn !== undefined) return made.certificateArn
    const known = await this.#client.send(new DescribeCertificateCommand({ certificateId: sha256 }), { abortSignal })
    const { certificateArn, status } = known.certificateDescription ?? {}
    if (certificateArn === undefined) throw new Error(`IoT Core describes certificate ${sha256} without an ARN`)
    if (status !== 'ACTIVE') await this.#setStatus(sha256, 'ACTIVE', abortSignal)
    return certificateArn
  }

  async #setStatus(certificateId: string, newStatus: 'ACTIVE' | 'INACTIVE', abortSignal: AbortSignal): Promise<void> {
    await this.#client.send(new UpdateCertificateCommand({ certificateId, newStatus }), { abortSignal })
  }

  async #principalsOf(thingName: string, abortSignal: AbortSignal): Promise<string[]> {
    const found = await this.#client
      .send(new ListThingPrincipalsCommand({ thingName }), { abortSignal })
      .catch(unless(notFound))
    return found?.principals ?? []
  }

  // Inactive first: whatever fails after that, nobody connects by it. Detached last, so that a repetition finds it again.
  async #take(
    kind: BrokerCertificate['kind'],
    thingName: string,
    principal: string,
    abortSignal: AbortSignal,
  ): Promise<void> {
    const policyName = this.#options.policies[kind]
    await this.#setStatus(certificateIdOf(principal), 'INACTIVE', abortSignal).catch(unless(notFound))
    await this.#client
      .send(new DetachPolicyCommand({ policyName, target: principal }), { abortSignal })
      .catch(unless(notFound))
    await this.#client
      .send(new DetachThingPrincipalCommand({ thingName, principal }), { abortSignal })
      .catch(unless(notFound))
  }
}

/** `arn:aws:iot:<region>:<account>:cert/<sha256>` */
const certificateIdOf = (arn: string): string => arn.slice(arn.lastIndexOf('/') + 1)

const alreadyExists = 'ResourceAlreadyExistsException'
const notFound = 'ResourceNotFoundException'

const unless =
  (name: string) =>
  (error: unknown): undefined => {
    if ((error as Error).name !== name) throw error
  }

const withinDeadline = async (work: (signal: AbortSignal) => Promise<void>): Promise<void> => {
  try {
    await work(AbortSignal.timeout(deadlineMillis))
  } catch (cause) {
    const said = (cause as Error).name === 'LimitExceededException' ? ' A limit of the account is reached.' : ''
    throw new TributaryError('UNAVAILABLE', { detail: `IoT Core did not take the certificate.${said}`, cause })
  }
}
