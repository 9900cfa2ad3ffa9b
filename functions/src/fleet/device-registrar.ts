/**
 * Makes a device's certificate known to whoever else must accept it: in the cloud IoT Core, which wants certificate, thing and
 * policy. Registering the same certificate again changes nothing.
 */
export type DeviceRegistrar = {
  register(certificate: {
    readonly device: string
    readonly certificatePem: string
    /** Hex sha256 of the DER. */
    readonly sha256: string
  }): Promise<void>
}

/** Where brokers trust every certificate of the authority, as the local one does. */
export const noRegistrar: DeviceRegistrar = { register: async () => undefined }
