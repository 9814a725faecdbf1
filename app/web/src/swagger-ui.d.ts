/** What `docs.ts` uses of Swagger UI, which comes without types. */
declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  interface Options {
    url: string;
    dom_id: string;
    deepLinking: boolean;
    validatorUrl: string | null;
  }
  export default function SwaggerUI(options: Options): void;
}
